#include "valkey/reply.hpp"

#include <random>
#include <string>

#include <gtest/gtest.h>

namespace valkeycache::testing {
namespace {

using detail::Reply;
using detail::ReplyReader;
using Next = ReplyReader::Next;

constexpr detail::ReplyLimits small{
    .value_bytes = 100, .reply_bytes = 150, .elements = 16, .depth = 3};

Reply read_one(const std::string& bytes) {
  ReplyReader reader(small);
  reader.feed(bytes);
  Reply reply;
  EXPECT_EQ(reader.next(reply), Next::reply) << bytes;
  return reply;
}

Next outcome_of(const std::string& bytes) {
  ReplyReader reader(small);
  reader.feed(bytes);
  Reply reply;
  Next next = reader.next(reply);
  while (next == Next::reply) next = reader.next(reply);
  return next;
}

TEST(Reply, EveryTypeOfResp2AndResp3) {
  EXPECT_EQ(read_one(std::string("$3\r\na\0b\r\n", 9)).text, std::string("a\0b", 3));
  EXPECT_EQ(read_one("$0\r\n\r\n").type, Reply::Type::string);
  EXPECT_EQ(read_one("$-1\r\n").type, Reply::Type::nil);
  EXPECT_EQ(read_one("_\r\n").type, Reply::Type::nil);
  EXPECT_EQ(read_one("*-1\r\n").type, Reply::Type::nil);
  EXPECT_EQ(read_one("+OK\r\n").type, Reply::Type::status);
  EXPECT_EQ(read_one("-ERR no\r\n").text, "ERR no");
  EXPECT_EQ(read_one(":-7\r\n").integer, -7);
  EXPECT_EQ(read_one("#t\r\n").integer, 1);
  EXPECT_EQ(read_one(",1.5\r\n").type, Reply::Type::number);
  EXPECT_EQ(read_one("(12345678901234567890\r\n").text, "12345678901234567890");
  EXPECT_EQ(read_one("=7\r\ntxt:abc\r\n").text, "abc");
  const auto map = read_one("%1\r\n+proto\r\n:3\r\n");
  ASSERT_EQ(map.elements.size(), 2U);
  EXPECT_EQ(map.elements[1].integer, 3);
  EXPECT_EQ(read_one("~1\r\n:1\r\n").type, Reply::Type::array);
  EXPECT_EQ(read_one(">1\r\n+x\r\n").type, Reply::Type::push);
  const auto nested = read_one("*2\r\n*2\r\n:1\r\n$1\r\na\r\n$1\r\nb\r\n");
  ASSERT_EQ(nested.elements.size(), 2U);
  EXPECT_EQ(nested.elements[0].elements[1].text, "a");
  EXPECT_EQ(nested.elements[1].text, "b");
}

TEST(Reply, AnAnnouncedLengthOverTheLimitIsRefusedBeforeItArrives) {
  EXPECT_EQ(outcome_of("$101\r\n"), Next::too_large);
  EXPECT_EQ(outcome_of("$536870912\r\nxx"), Next::too_large);
  EXPECT_EQ(outcome_of("$99999999999999999999\r\n"), Next::malformed) << "no length at all";
  EXPECT_EQ(outcome_of("$100\r\n"), Next::need_more);
  EXPECT_EQ(outcome_of("$10"), Next::need_more) << "the length may go on";
}

TEST(Reply, AllStringsOfAReplyTogetherHaveALimit) {
  const std::string eighty = "$80\r\n" + std::string(80, 'x') + "\r\n";
  EXPECT_EQ(outcome_of("*2\r\n" + eighty + eighty), Next::too_large);
  EXPECT_EQ(outcome_of("*2\r\n" + eighty + "$80\r\n"), Next::too_large) << "as soon as announced";
  EXPECT_EQ(outcome_of(eighty + eighty), Next::need_more) << "two replies are two";
}

TEST(Reply, TooManyElementsAndTooDeepNestingAreRefused) {
  EXPECT_NE(outcome_of("*17\r\n"), Next::need_more);
  EXPECT_NE(outcome_of("*2147483647\r\n"), Next::need_more);
  EXPECT_EQ(outcome_of("*1\r\n*1\r\n*1\r\n"), Next::need_more);
  EXPECT_EQ(outcome_of("*1\r\n*1\r\n*1\r\n*1\r\n"), Next::malformed);
}

TEST(Reply, WhatIsNotRespIsMalformed) {
  EXPECT_EQ(outcome_of("HTTP/1.1 400 Bad Request\r\n\r\n"), Next::malformed);
  EXPECT_EQ(outcome_of("$-2\r\n"), Next::malformed);
  EXPECT_EQ(outcome_of(":12x\r\n"), Next::malformed);
}

TEST(Reply, ALineWithoutEndIsNotCollected) {
  for (const char mark : {'+', '-', ':', '$', ',', '(', '*'}) {
    ReplyReader reader(small);
    Reply reply;
    reader.feed({&mark, 1});
    auto next = reader.next(reply);
    const std::string piece(10'000, '1');
    for (int pieces = 0; pieces < 20 && next == Next::need_more; ++pieces) {
      reader.feed(piece);
      next = reader.next(reply);
    }
    EXPECT_NE(next, Next::need_more) << mark;
  }
}

TEST(Reply, AFailedReaderStaysFailed) {
  ReplyReader reader(small);
  Reply reply;
  reader.feed("!\r\n");
  EXPECT_EQ(reader.next(reply), Next::malformed);
  reader.feed("+OK\r\n");
  EXPECT_EQ(reader.next(reply), Next::malformed);
}

void append_text(std::string& out, const Reply& reply) {
  out += std::to_string(static_cast<int>(reply.type)) + ":" + std::to_string(reply.integer) + ":" +
         reply.text + "[";
  for (const auto& element : reply.elements) append_text(out, element);
  out += "]";
}

// Fed in these pieces, what does the reader make of the bytes?
std::string read_all(std::initializer_list<std::string_view> pieces) {
  ReplyReader reader(small);
  std::string text;
  for (const auto piece : pieces) {
    reader.feed(piece);
    for (;;) {
      Reply reply;
      const auto next = reader.next(reply);
      if (next == Next::need_more) break;
      if (next != Next::reply) return text + "failed";
      append_text(text, reply);
    }
  }
  return text;
}

TEST(Reply, WhereverTheBytesAreCutTheRepliesAreTheSame) {
  const std::string_view all =
      "$5\r\nhello\r\n*4\r\n$1\r\na\r\n$-1\r\n_\r\n$0\r\n\r\n+OK\r\n:7\r\n*0\r\n*-1\r\n"
      "*2\r\n$1\r\n0\r\n*2\r\n$2\r\nk1\r\n$2\r\nk2\r\n>2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n"
      "-ERR no\r\n%1\r\n+a\r\n#t\r\n$3\r\nend\r\n";
  const auto whole = read_all({all});
  EXPECT_TRUE(whole.ends_with("1:0:end[]")) << whole;
  for (std::size_t i = 0; i <= all.size(); ++i) {
    EXPECT_EQ(read_all({all.substr(0, i), all.substr(i)}), whole) << i;
    for (std::size_t j = i; j <= all.size(); ++j) {
      ASSERT_EQ(read_all({all.substr(0, i), all.substr(i, j - i), all.substr(j)}), whole)
          << i << ' ' << j;
    }
  }
}

// Foreign bytes of any kind: no crash, no endless loop, no memory beyond the limits.
TEST(Reply, SurvivesMutations) {
  const std::string valid =
      "*3\r\n$5\r\nhello\r\n:42\r\n*2\r\n+OK\r\n$-1\r\n%1\r\n+a\r\n#t\r\n>1\r\n$1\r\nx\r\n-ERR "
      "x\r\n";
  constexpr std::string_view marks = "*$:+-\r\n0129%>~#,(=_!";
  std::mt19937 random(20240607);
  for (int round = 0; round < 20000; ++round) {
    auto bytes = valid;
    for (auto edits = 1 + random() % 4; edits > 0; --edits) {
      bytes[random() % bytes.size()] = static_cast<char>(
          random() % 2 == 0 ? random() % 256
                            : static_cast<unsigned>(marks[random() % marks.size()]));
    }
    ReplyReader reader(small);
    Reply reply;
    for (const char c : bytes) {
      reader.feed({&c, 1});
      int replies = 0;
      while (reader.next(reply) == Next::reply) ASSERT_LT(++replies, 2);
    }
  }
}

}  // namespace
}  // namespace valkeycache::testing
