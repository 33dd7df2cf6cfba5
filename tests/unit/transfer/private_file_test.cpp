// A file that is whole and private, or not there.
#include "transfer/private_file.hpp"

#include <filesystem>
#include <fstream>
#include <string>

#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "support/valkey/child_process.hpp"
#include "support/valkey/expect.hpp"

using valkeycache::ErrorCode;
using valkeycache::detail::PrivateFile;
using namespace valkeycache::test;
namespace fs = std::filesystem;

namespace {

class Private : public testing::Test {
 protected:
  static void write(const std::string& to, const std::string& text) {
    auto file = PrivateFile::create(to);
    ASSERT_TRUE(ok(file));
    ASSERT_TRUE(ok(file->append(text)));
    ASSERT_TRUE(ok(file->commit()));
  }
  static mode_t mode_of(const std::string& of) {
    struct stat status = {};
    EXPECT_EQ(lstat(of.c_str(), &status), 0);
    return status.st_mode & 07777U;
  }
  [[nodiscard]] std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()));
  }

  const TemporaryFolder folder;
  const std::string path = folder.path() + "/file";
};

TEST_F(Private, IsTheOwnersWhateverTheUmask) {
  for (const mode_t mask : {0000U, 0022U, 0777U}) {
    const auto before = umask(mask);
    write(path, "text");
    umask(before);
    EXPECT_EQ(mode_of(path), 0600U) << mask;
    EXPECT_EQ(read_text(path), "text");
  }
  EXPECT_EQ(files(), 1U);
}

TEST_F(Private, WritesMuchAndNothing) {
  const std::string text(3'000'000, 'x');
  write(path, text);
  EXPECT_EQ(fs::file_size(path), text.size());
  write(path, "");
  EXPECT_EQ(fs::file_size(path), 0U);
}

TEST_F(Private, IsNotThereBeforeItIsWhole) {
  std::ofstream(path) << "before";
  {
    auto file = PrivateFile::create(path).value();
    ASSERT_TRUE(ok(file.append(std::string(1'000'000, 'x'))));
    EXPECT_EQ(file.size(), 1'000'000U);
    EXPECT_EQ(read_text(path), "before");
    EXPECT_EQ(files(), 2U);
    for (const auto& entry : fs::directory_iterator(folder.path())) {
      EXPECT_TRUE(entry.path() == path || mode_of(entry.path()) == 0600U) << entry.path();
    }
  }
  EXPECT_EQ(read_text(path), "before");
  EXPECT_EQ(files(), 1U) << "what was not finished is gone";
}

TEST_F(Private, FollowsNoLink) {
  const auto target = folder.path() + "/readable";
  std::ofstream(target) << "somebody's";
  fs::permissions(target, fs::perms(0644));
  fs::create_symlink(target, path);
  write(path, "secret");
  EXPECT_FALSE(fs::is_symlink(path));
  EXPECT_EQ(mode_of(path), 0600U);
  EXPECT_EQ(read_text(target), "somebody's");
}

TEST_F(Private, TakesTheModeFromNoOlderFile) {
  std::ofstream(path) << "before";
  fs::permissions(path, fs::perms(0666));
  write(path, "secret");
  EXPECT_EQ(mode_of(path), 0600U);
}

TEST_F(Private, SaysWhatIsWrong) {
  EXPECT_TRUE(
      fails_with(PrivateFile::create(folder.path() + "/absent/file"), ErrorCode::file_failed));
  fs::create_directory(path);
  auto file = PrivateFile::create(path).value();
  ASSERT_TRUE(ok(file.append("text")));
  EXPECT_TRUE(fails_with(file.commit(), ErrorCode::file_failed));
}

}  // namespace
