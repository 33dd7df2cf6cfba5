#include "transfer/line_reader.hpp"

#include <fstream>
#include <string>
#include <vector>

#include <sys/stat.h>

#include <gtest/gtest.h>

#include "support/valkey/child_process.hpp"
#include "support/valkey/expect.hpp"

using valkeycache::ErrorCode;
using valkeycache::detail::LineReader;
using valkeycache::test::fails_with;

namespace {

class Lines : public testing::Test {
 protected:
  // Each line, "+" for one that was too long; "!" where the file could not be read on.
  std::vector<std::string> read(const std::string& text, std::size_t most) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
    auto reader = LineReader::open(path, most).value();
    std::vector<std::string> lines;
    for (std::string_view line;;) {
      switch (reader.next(line)) {
        case LineReader::Next::line:
          lines.emplace_back(line);
          break;
        case LineReader::Next::skipping:
          break;
        case LineReader::Next::too_long:
          lines.emplace_back("+");
          break;
        case LineReader::Next::failed:
          lines.emplace_back("!");
          return lines;
        case LineReader::Next::end:
          EXPECT_EQ(reader.bytes(), text.size());
          return lines;
      }
    }
  }

  const valkeycache::test::TemporaryFolder folder;
  const std::string path = folder.path() + "/lines";
};
using List = std::vector<std::string>;

TEST_F(Lines, OneAfterTheOther) {
  EXPECT_EQ(read("", 10), List());
  EXPECT_EQ(read("a", 10), List({"a"}));
  EXPECT_EQ(read("a\n", 10), List({"a"}));
  EXPECT_EQ(read("a\n\nbc\n", 10), List({"a", "", "bc"}));
  EXPECT_EQ(read("\n", 10), List({""}));
}

TEST_F(Lines, OneThatIsTooLongIsSkipped) {
  EXPECT_EQ(read("1234\n12345\n1\n", 4), List({"1234", "+", "1"}));
  EXPECT_EQ(read("12345", 4), List({"+"}));
  const std::string longer(1 << 20, 'x');  // than what is read at a time
  EXPECT_EQ(read("a\n" + longer + "\nb\n" + longer, 4), List({"a", "+", "b", "+"}));
  EXPECT_EQ(read(longer + "\n", longer.size()), List({longer}));
}

TEST_F(Lines, LinesAcrossReads) {
  std::string text;
  List lines;
  for (std::size_t i = 0; i < 3000; ++i) {
    lines.emplace_back(i % 97, static_cast<char>('a' + i % 26));
    text += lines.back() + '\n';
  }
  EXPECT_EQ(read(text, 100), lines);
}

TEST_F(Lines, OnlyOfRegularFiles) {
  EXPECT_TRUE(fails_with(LineReader::open(path + "-absent", 10), ErrorCode::file_failed));
  EXPECT_TRUE(fails_with(LineReader::open(folder.path(), 10), ErrorCode::file_failed));
  EXPECT_TRUE(fails_with(LineReader::open("/dev/zero", 10), ErrorCode::file_failed));
  const auto fifo = folder.path() + "/fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_TRUE(fails_with(LineReader::open(fifo, 10), ErrorCode::file_failed));
}

}  // namespace
