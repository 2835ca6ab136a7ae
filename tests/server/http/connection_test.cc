// One connection on loopback: keep-alive, streams, clients that leave, limits.
#include "server/http/connection.h"

#include <chrono>
#include <thread>

#include "tests/server/http/http_fixture.h"

namespace dyad {
namespace {

using ::dyad::testing::Eventually;
using ::dyad::testing::Get;
using ::dyad::testing::RawClient;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

using ConnectionTest = ::dyad::testing::HttpServerTest;

TEST_F(ConnectionTest, AnswersOneAfterTheOther) {
  Start();
  RawClient client(server_->port());
  for (const char* path : {"/one", "/two"}) {
    client.Send(Get(path));
    EXPECT_THAT(
        client.ReadUntil("\r\n\r\nGET"),
        AllOf(StartsWith("HTTP/1.1 200 OK\r\n"), HasSubstr(absl::StrCat("X-Path: ", path, "\r\n")),
              HasSubstr("Content-Length: 3\r\n"), Not(HasSubstr("Connection:"))));
    client.Forget();
  }
  // Some that are sent at once, the last one closing.
  client.Send(Get("/3") + Get("/hold") + Get("/4", "Connection: close\r\n"));
  TakeHeld()->Answer({200, {{"X-Path", "held"}}, ""});
  const std::string all = client.ReadAll();
  EXPECT_THAT(all, HasSubstr("Connection: close\r\n"));
  const size_t three = all.find("/3");
  const size_t held = all.find("held");
  const size_t four = all.find("/4");
  EXPECT_LT(three, held);
  EXPECT_LT(held, four);
}

TEST_F(ConnectionTest, OldClientsAndHeads) {
  Start();
  EXPECT_THAT(Ask("GET /x HTTP/1.0\r\n\r\n"),
              AllOf(HasSubstr("Connection: close"), EndsWith("GET")));
  EXPECT_THAT(Ask("HEAD /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
              AllOf(HasSubstr("Content-Length: 4\r\n"), EndsWith("\r\n\r\n")));
  EXPECT_THAT(Ask("GET /stream HTTP/1.0\r\n\r\n"),
              AllOf(Not(HasSubstr("chunked")), EndsWith("\r\n\r\nabc")));
}

TEST_F(ConnectionTest, StreamsInChunks) {
  Start();
  EXPECT_THAT(
      Ask(Get("/stream", "Connection: close\r\n")),
      AllOf(HasSubstr("Transfer-Encoding: chunked\r\n"), HasSubstr("Content-Type: text/plain\r\n"),
            EndsWith("\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n")));
}

TEST_F(ConnectionTest, FillsAStreamThatPauses) {
  HttpServerOptions options;
  options.filler_interval = absl::Milliseconds(20);
  Start(options);
  RawClient client(server_->port());
  client.Send(Get("/hold"));
  const auto exchange = TakeHeld();
  exchange->Begin({}, ":\n", nullptr);
  EXPECT_THAT(client.ReadUntil("2\r\n:\n\r\n2\r\n:\n\r\n"), HasSubstr("2\r\n:\n\r\n2\r\n:\n\r\n"));
  exchange->End();
  EXPECT_THAT(client.ReadUntil("0\r\n\r\n"), EndsWith("0\r\n\r\n"));
}

TEST_F(ConnectionTest, AskedForABodyItIsSent) {
  Start();
  RawClient client(server_->port());
  client.Send("POST /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  EXPECT_EQ(client.ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.Send("body");
  EXPECT_THAT(client.ReadUntil("POSTbody"), EndsWith("POSTbody"));
}

TEST_F(ConnectionTest, AClientThatLeavesIsNoticedWhileItWaits) {
  Start();
  for (const bool half : {false, true}) {
    RawClient client(server_->port());
    client.Send(Get("/hold"));
    const auto exchange = TakeHeld();
    const int before = left_;
    half ? client.EndWriting() : client.Close();
    EXPECT_TRUE(Eventually([&] { return left_ == before + 1; }));
    exchange->Answer({});  // does nothing
    bool at_once = false;
    exchange->OnLeave([&] { at_once = true; });
    EXPECT_TRUE(at_once);
  }
  EXPECT_TRUE(Eventually([&] { return server_->connections() == 0; }));
}

TEST_F(ConnectionTest, AClientThatFloodsBehindItsRequestLeaves) {
  Start();
  RawClient client(server_->port());
  client.Send(Get("/hold"));
  (void)TakeHeld();
  client.Send(std::string(100 << 10, 'x'));
  EXPECT_TRUE(Eventually([&] { return left_ == 1; }));
}

TEST_F(ConnectionTest, AReaderThatStopsIsDropped) {
  HttpServerOptions options;
  options.write_timeout = absl::Milliseconds(200);
  Start(options);
  RawClient client(server_->port());
  client.Send(Get("/flood"));
  EXPECT_TRUE(Eventually([&] { return left_ == 1 && server_->connections() == 0; }));
}

TEST_F(ConnectionTest, RefusalsCloseAndAreRead) {
  HttpServerOptions options;
  options.max_body_bytes = 1000;
  Start(options);
  const std::string large =
      "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n" + std::string(100000, 'x');
  EXPECT_THAT(Ask(large),
              AllOf(StartsWith("HTTP/1.1 413 Payload Too Large\r\n"),
                    HasSubstr("Connection: close\r\n"), HasSubstr("more than 1000 bytes")));
  EXPECT_THAT(Ask("\x16\x03\x01\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
}

TEST_F(ConnectionTest, SlowRequestsAreEnded) {
  HttpServerOptions options;
  options.read_timeout = absl::Milliseconds(100);
  options.idle_timeout = absl::Milliseconds(300);
  Start(options);
  EXPECT_EQ(Ask(""), "");
  EXPECT_THAT(Ask("GET / HT"), StartsWith("HTTP/1.1 408 Request Timeout\r\n"));
  EXPECT_THAT(Ask("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab"),
              StartsWith("HTTP/1.1 408 "));
  // Each byte in time does not help.
  RawClient client(server_->port());
  for (int i = 0; i < 30; ++i) {
    client.Send("G");
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_THAT(client.ReadAll(), StartsWith("HTTP/1.1 408 "));
}

}  // namespace
}  // namespace dyad
