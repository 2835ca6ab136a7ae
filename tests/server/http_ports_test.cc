// /metrics and the front door, each on a port of its own.
#include "server/http_ports.h"

#include <atomic>
#include <memory>
#include <optional>

#include "absl/strings/numbers.h"
#include "tests/server/http/http_client.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::dyad::testing::RawClient;
using ::dyad::testing::StatusIs;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const LogFunction kNoLog = [](LogLevel, const std::string&, const std::vector<LogField>&) {};

Options At(const std::string& metrics, const std::string& http) {
  Options options;
  options.metrics = metrics;
  options.http = http;
  return options;
}

int PortOf(const std::string& address) {
  int port = 0;
  EXPECT_TRUE(absl::SimpleAtoi(address.substr(address.rfind(':') + 1), &port)) << address;
  return port;
}

std::string Ask(const std::string& address, const std::string& line) {
  RawClient client(PortOf(address));
  client.Send(line + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  return client.ReadAll();
}

TEST(HttpPortsTest, MetricsAreServedBeforeTheDoorOpens) {
  Metrics metrics;
  const auto ports = HttpPorts::Prepare(At("127.0.0.1:0", "127.0.0.1:0"), nullptr, metrics, kNoLog);
  ASSERT_OK(ports);
  const std::string address = (*ports)->metrics_address();
  EXPECT_THAT(Ask(address, "GET /metrics"),
              AllOf(StartsWith("HTTP/1.1 200 OK\r\n"),
                    HasSubstr("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"),
                    HasSubstr("dyad_ready 0\n")));
  EXPECT_THAT(Ask(address, "GET /metrics?name=x"), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(Ask(address, "HEAD /metrics"),
              AllOf(StartsWith("HTTP/1.1 200 OK\r\n"), EndsWith("\r\n\r\n")));
  for (const char* path : {"/", "/metrics/", "/metricsx", "/../etc/passwd", "//metrics"}) {
    EXPECT_THAT(Ask(address, std::string("GET ") + path), StartsWith("HTTP/1.1 404 ")) << path;
  }
  EXPECT_THAT(Ask(address, "POST /metrics"),
              AllOf(StartsWith("HTTP/1.1 405 "), HasSubstr("Allow: GET, HEAD")));
  EXPECT_THAT((*ports)->http_address(), StartsWith("127.0.0.1:"));
}

TEST(HttpPortsTest, TheDoorOpensWithTheState) {
  Metrics metrics;
  const Options options = At("", "127.0.0.1:0");
  const auto ports = HttpPorts::Prepare(options, nullptr, metrics, kNoLog);
  ASSERT_OK(ports);
  EXPECT_EQ((*ports)->metrics_address(), "off");
  const ModelRegistry models({});
  const ServerState state{models, {}};
  ASSERT_OK((*ports)->Open(options, state));
  const std::string address = (*ports)->http_address();
  EXPECT_THAT(Ask(address, "GET http://localhost/health"), StartsWith("HTTP/1.1 200 OK\r\n"));
  // On a loopback address its names are the only ones.
  EXPECT_THAT(Ask(address, "GET /health"), StartsWith("HTTP/1.1 421 "));
  (*ports)->Shutdown(absl::ZeroDuration());
  EXPECT_EQ((*ports)->connections(), 0);
}

// The server's certificates; counts the connections and servers that ask for them.
class CountedCertificates final : public Certificates {
 public:
  std::shared_ptr<const Pem> Current() override {
    ++asked;
    return nullptr;
  }
  std::optional<absl::Time> end() const override { return std::nullopt; }

  std::atomic<int> asked = 0;
};

TEST(HttpPortsTest, TheDoorTakesTheCertificatesThatItIsGiven) {
  Metrics metrics;
  Options options = At("", "127.0.0.1:0");
  options.rpc.tls.certificate = options.rpc.tls.key = "/nowhere/read once, by another";
  const auto certificates = std::make_shared<CountedCertificates>();
  const auto ports = HttpPorts::Prepare(options, certificates, metrics, kNoLog);
  ASSERT_OK(ports);
  const ModelRegistry models({});
  const ServerState state{models, {}};
  ASSERT_OK((*ports)->Open(options, state));
  EXPECT_GT(certificates->asked, 0);
}

TEST(HttpPortsTest, KserveIsThereIfItIsAskedFor) {
  Metrics metrics;
  const ModelRegistry models({});
  const ServerState state{models, {}};
  for (const Kserve kserve : {Kserve::kOff, Kserve::kOn}) {
    Options options = At("", "127.0.0.1:0");
    options.kserve = kserve;
    const auto ports = HttpPorts::Prepare(options, nullptr, metrics, kNoLog);
    ASSERT_OK(ports);
    ASSERT_OK((*ports)->Open(options, state));
    const std::string answer = Ask((*ports)->http_address(), "GET http://localhost/v2");
    EXPECT_THAT(answer, StartsWith(kserve == Kserve::kOn ? "HTTP/1.1 200 " : "HTTP/1.1 404 "));
  }
}

TEST(HttpPortsTest, WhatIsOffIsNotServed) {
  Metrics metrics;
  const auto ports = HttpPorts::Prepare(At("", ""), nullptr, metrics, kNoLog);
  ASSERT_OK(ports);
  EXPECT_EQ((*ports)->http_address(), "off");
  const ModelRegistry models({});
  const ServerState state{models, {}};
  EXPECT_OK((*ports)->Open(At("", ""), state));
  EXPECT_EQ((*ports)->connections(), 0);
}

TEST(HttpPortsTest, AnAddressInUseIsNamed) {
  Metrics metrics;
  const auto first = HttpPorts::Prepare(At("127.0.0.1:0", ""), nullptr, metrics, kNoLog);
  ASSERT_OK(first);
  const std::string taken = (*first)->metrics_address();
  for (const Options& options : {At(taken, ""), At("", taken)}) {
    EXPECT_THAT(HttpPorts::Prepare(options, nullptr, metrics, kNoLog),
                StatusIs(absl::StatusCode::kUnavailable,
                         AllOf(HasSubstr(taken), HasSubstr("in use by another process"))));
  }
}

}  // namespace
}  // namespace dyad
