// Requests whole, in pieces, one behind the other, and every kind that must be refused: Debian's
// Boost lets some of them through.
#include "server/http/request_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace dyad {
namespace {

using State = RequestReader::State;
using ::testing::HasSubstr;

constexpr int64_t kMaxBody = 100;

std::string Post(const std::string& fields, const std::string& body = "") {
  return absl::StrCat("POST /p HTTP/1.1\r\nHost: h\r\n", fields, "\r\n", body);
}

// The status that the bytes are refused with; 0 if they are not. Byte by byte they are refused as
// well, or wait for an end that never comes.
int StatusOf(const std::string& bytes) {
  RequestReader reader(kMaxBody);
  const int whole = reader.Feed(bytes) == State::kRefused ? reader.fault().status : 0;
  RequestReader slow(kMaxBody);
  State state = State::kNothing;
  for (const char c : bytes) {
    state = slow.Feed({&c, 1});
    if (state == State::kWhole) (void)slow.Take();
  }
  if (whole != 0) {
    EXPECT_NE(state, State::kWhole) << bytes;
    if (state == State::kRefused) {
      EXPECT_EQ(slow.fault().status, whole) << bytes;
    }
  }
  return whole;
}

TEST(RequestReaderTest, ReadsARequest) {
  RequestReader reader(kMaxBody);
  EXPECT_EQ(
      reader.Feed("POST /a/b?c=d?e HTTP/1.1\r\nHost: x:1\r\nX-A:  b c \r\nContent-Length: 4\r\n\r\n"
                  "body"),
      State::kWhole);
  const HttpRequest request = reader.Take();
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.path, "/a/b");
  EXPECT_EQ(request.query, "c=d?e");
  EXPECT_EQ(request.host, "x:1");
  EXPECT_EQ(FindField(request.fields, "x-a"), "b c");
  EXPECT_EQ(request.body, "body");
  EXPECT_TRUE(reader.is_version_11());
  EXPECT_TRUE(reader.keeps_alive());
  EXPECT_EQ(reader.Feed({}), State::kNothing);
}

TEST(RequestReaderTest, PiecesJoined) {
  const std::string bytes =
      Post("Transfer-Encoding: chunked\r\n", "3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: v\r\n\r\n");
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    RequestReader reader(kMaxBody);
    const State first = reader.Feed(bytes.substr(0, cut));
    EXPECT_EQ(first, cut == 0             ? State::kNothing
                     : cut < bytes.size() ? State::kPart
                                          : State::kWhole);
    ASSERT_EQ(reader.Feed(bytes.substr(cut)), State::kWhole) << cut;
    EXPECT_EQ(reader.Take().body, "abcde");
  }
}

// Found by fuzzing: an empty line in two pieces, and trailers that begin in a piece of their own.
TEST(RequestReaderTest, PiecesOfOneByteAreTheSameRequests) {
  const std::string bytes = "\r\n\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n" +
                            Post("Transfer-Encoding: chunked\r\n", "2\r\nab\r\n0\r\nA: b\r\n\r\n");
  RequestReader reader(kMaxBody);
  std::string seen;
  for (const char c : bytes) {
    if (reader.Feed({&c, 1}) != State::kWhole) continue;
    const HttpRequest request = reader.Take();
    seen += request.path + " " + request.body + ";";
  }
  EXPECT_EQ(seen, "/a ;/p ab;");
}

TEST(RequestReaderTest, OneBehindTheOther) {
  RequestReader reader(kMaxBody);
  const std::string one = Post("Content-Length: 1\r\n", "1");
  EXPECT_EQ(reader.Feed(absl::StrCat(one, "\r\nGET /2 HTTP/1.0\r\n\r\n", "GET /3")), State::kWhole);
  EXPECT_EQ(reader.Take().body, "1");
  EXPECT_EQ(reader.Feed({}), State::kWhole);
  EXPECT_EQ(reader.Take().path, "/2");
  EXPECT_FALSE(reader.is_version_11());
  EXPECT_FALSE(reader.keeps_alive());
  EXPECT_EQ(reader.Feed({}), State::kPart);
  EXPECT_EQ(reader.Feed(" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), State::kWhole);
  EXPECT_EQ(reader.Take().path, "/3");
  EXPECT_FALSE(reader.keeps_alive());
}

TEST(RequestReaderTest, WhatWaitsBehindARequestIsBounded) {
  RequestReader reader(kMaxBody);
  ASSERT_EQ(reader.Feed(Post("")), State::kWhole);
  EXPECT_EQ(reader.Feed(std::string(64 << 10, 'x')), State::kWhole);
  EXPECT_EQ(reader.Feed("x"), State::kRefused);
}

TEST(RequestReaderTest, TheHostOfATargetGoesBefore) {
  for (const auto& [target, host, path] :
       std::vector<std::array<std::string, 3>>{{"http://other:8/p?q", "other:8", "/p"},
                                               {"https://other", "other", "/"},
                                               {"http://other?q", "other", "/"},
                                               {"/http://x/p", "h", "/http://x/p"}}) {
    RequestReader reader(kMaxBody);
    ASSERT_EQ(reader.Feed(absl::StrCat("GET ", target, " HTTP/1.1\r\nHost: h\r\n\r\n")),
              State::kWhole);
    const HttpRequest request = reader.Take();
    EXPECT_EQ(request.host, host);
    EXPECT_EQ(request.path, path);
  }
}

TEST(RequestReaderTest, SaysOnceThatABodyIsWaitedFor) {
  RequestReader reader(kMaxBody);
  EXPECT_EQ(reader.Feed(Post("Expect: 100-Continue\r\nContent-Length: 2\r\n")), State::kPart);
  EXPECT_TRUE(reader.TakeExpectation());
  EXPECT_FALSE(reader.TakeExpectation());
  EXPECT_EQ(reader.Feed("ab"), State::kWhole);
  EXPECT_FALSE(reader.TakeExpectation());
}

TEST(RequestReaderTest, RefusesWhatTwoServersReadInTwoWays) {
  const std::string chunks = "0\r\n\r\n";
  for (const char* fields : {"Content-Length: 1\r\nContent-Length: 1\r\n",
                             "Content-Length: 1\r\nContent-Length: 2\r\n",
                             "Content-Length: 1, 1\r\n",
                             "Content-Length: +1\r\n",
                             "Content-Length: -1\r\n",
                             "Content-Length: 0x1\r\n",
                             "Content-Length: \r\n",
                             "Content-Length: 1 1\r\n",
                             "Content-Length: 99999999999999999999\r\n",
                             "Content-Length : 1\r\n",
                             "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
                             "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
                             "Transfer-Encoding: chunked, chunked\r\n",
                             "Transfer-Encoding: gzip, chunked\r\n",
                             "Transfer-Encoding: chunked, identity\r\n",
                             "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                             "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n",
                             "Host: other\r\n",
                             "X: a\nY: b\r\n",
                             "X: a\rb\r\n"}) {
    EXPECT_EQ(StatusOf(Post(fields, chunks)), 400) << fields;
  }
  EXPECT_EQ(StatusOf(Post(std::string("X: a\0b\r\n", 8))), 400);
  for (const char* coding : {"identity", "xchunked", "gzip", "x", "\"chunked\""}) {
    EXPECT_EQ(StatusOf(Post(absl::StrCat("Transfer-Encoding: ", coding, "\r\n"), chunks)), 501)
        << coding;
  }
  EXPECT_EQ(StatusOf(Post("Transfer-Encoding: Chunked\r\n", chunks)), 0);
  EXPECT_EQ(StatusOf("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks), 400);
}

TEST(RequestReaderTest, RefusesWhatIsNoRequest) {
  for (const char* bytes : {"\x16\x03\x01\x02", "GET\r\n\r\n", "GET  / HTTP/1.1\r\n\r\n",
                            "GET / HTTP/2.0\r\nHost: h\r\n\r\n", "GET / HTTP/0.9\r\n\r\n",
                            "GET / http/1.1\r\nHost: h\r\n\r\n",
                            " GET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET / HTTP/1.1\nHost: h\n\n",
                            "GET / HTTP/1.1\r\n\r\n", "G@T / HTTP/1.1\r\nHost: h\r\n\r\n"}) {
    EXPECT_EQ(StatusOf(bytes), 400) << bytes;
  }
}

TEST(RequestReaderTest, RefusesBadChunks) {
  for (const char* chunks :
       {"x\r\n", "-1\r\n", "fffffffffffffffff\r\n", "1\r\nab\r\n0\r\n\r\n", "1\nab\r\n0\r\n\r\n"}) {
    EXPECT_EQ(StatusOf(Post("Transfer-Encoding: chunked\r\n", chunks)), 400) << chunks;
  }
  EXPECT_EQ(StatusOf(Post("Transfer-Encoding: chunked\r\n", "65\r\n")), 413);
  EXPECT_EQ(StatusOf(Post("Transfer-Encoding: chunked\r\n", "1;" + std::string(20000, 'x'))), 431);
}

TEST(RequestReaderTest, EachBoundHasItsStatus) {
  EXPECT_EQ(StatusOf(Post("Content-Length: 101\r\n")), 413);
  EXPECT_EQ(StatusOf(Post("Content-Length: 100\r\n", std::string(100, 'x'))), 0);
  EXPECT_EQ(StatusOf(Post(absl::StrCat("X: ", std::string(16 << 10, 'x'), "\r\n"))), 431);
  EXPECT_EQ(StatusOf(Post(absl::StrCat("X: ", std::string(15 << 10, 'x'), "\r\n"))), 0);
  const auto target = [](size_t bytes) {
    return absl::StrCat("GET /", std::string(bytes - 1, 'x'), " HTTP/1.1\r\nHost: h\r\n\r\n");
  };
  EXPECT_EQ(StatusOf(target(8 << 10)), 0);
  EXPECT_EQ(StatusOf(target((8 << 10) + 1)), 414);
  EXPECT_EQ(StatusOf("GET /" + std::string(20 << 10, 'x')), 414);
  EXPECT_EQ(StatusOf(Post("Content-Encoding: gzip\r\n")), 415);
  EXPECT_EQ(StatusOf(Post("Content-Encoding: identity\r\n")), 0);
  EXPECT_EQ(StatusOf(Post("Expect: a-miracle\r\n")), 417);
}

TEST(RequestReaderTest, ARefusalIsForGood) {
  RequestReader reader(kMaxBody);
  EXPECT_EQ(reader.Feed("nonsense\r\n\r\n"), State::kRefused);
  EXPECT_THAT(reader.fault().message, HasSubstr("this is not HTTP/1.1"));
  EXPECT_EQ(reader.Feed(Post("")), State::kRefused);
}

}  // namespace
}  // namespace dyad
