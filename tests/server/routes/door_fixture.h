// The whole way from a socket to the fake model, for one test.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "server/connect/routes.h"
#include "server/http/http_server.h"
#include "server/kserve/routes.h"
#include "server/openai/error.h"
#include "server/openai/routes.h"
#include "server/routes/http_door.h"
#include "tests/server/api/api_fixture.h"
#include "tests/server/http/http_client.h"
#include "tests/support/status_matchers.h"

namespace dyad::testing {

// What a client got.
struct HttpAnswer {
  int status = 0;
  std::string head;
  std::string body;  // chunks joined

  nlohmann::json json() const { return nlohmann::json::parse(body, nullptr, false); }
  // {"error": …} of the body.
  nlohmann::json error() const { return json().value("error", nlohmann::json::object()); }
  std::string code() const { return error().value("code", ""); }
  bool HasField(const std::string& field) const {
    return head.find(field + "\r\n") != std::string::npos;
  }
};

inline HttpAnswer ParseAnswer(const std::string& bytes) {
  HttpAnswer answer;
  const size_t end = bytes.find("\r\n\r\n");
  if (end == std::string::npos) return answer;
  answer.head = bytes.substr(0, end + 2);
  (void)absl::SimpleAtoi(answer.head.substr(9, 3), &answer.status);
  std::string rest = bytes.substr(end + 4);
  if (!answer.HasField("Transfer-Encoding: chunked")) {
    answer.body = rest;
    return answer;
  }
  while (!rest.empty()) {
    const size_t line = rest.find("\r\n");
    if (line == std::string::npos) break;
    const size_t size = std::stoul(rest.substr(0, line), nullptr, 16);
    answer.body += rest.substr(line + 2, size);
    rest = size == 0 || line + size + 4 > rest.size() ? "" : rest.substr(line + size + 4);
  }
  return answer;
}

class DoorStack : public EngineStack {
 public:
  explicit DoorStack(const StackOptions& options = {}, HttpDoorOptions door_options = {})
      : EngineStack(options), door(state, std::move(door_options), Families()) {
    HttpServer::Parts parts;
    parts.listener = *Listener::Bind("127.0.0.1:0");
    parts.handlers.handler = [this](const std::shared_ptr<HttpExchange>& exchange) {
      door.Handle(exchange);
    };
    parts.handlers.on_fault = &OpenAiFault;
    parts.log = [](LogLevel, const std::string&, const std::vector<LogField>&) {};
    server = *HttpServer::Start({}, std::move(parts));
  }
  // Calls end before the server does.
  ~DoorStack() { engine.reset(); }

  HttpAnswer Ask(const std::string& line, const std::string& body,
                 const std::string& fields = "Content-Type: application/json\r\n") const {
    RawClient client(server->port());
    client.Send(absl::StrCat(line, " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", fields,
                             "Content-Length: ", body.size(), "\r\n\r\n", body));
    return ParseAnswer(client.ReadAll());
  }
  HttpAnswer Get(const std::string& path) const { return Ask("GET " + path, "", ""); }
  HttpAnswer Complete(const nlohmann::json& body) const {
    return Ask("POST /v1/completions", body.dump());
  }

  std::vector<RouteFamily> Families() {
    std::vector<RouteFamily> families;
    state.serves = [this](std::string_view name) {
      return name == "readiness" ? ready.load() : alive.load();
    };
    families.push_back(OpenAiRoutes(state, kMaxPrompts));
    families.push_back(ConnectRoutes());
    families.push_back(KserveRoutes());
    return families;
  }

  static constexpr int64_t kMaxPrompts = 1024;
  std::atomic<bool> ready = true;
  std::atomic<bool> alive = true;
  HttpDoor door;
  std::unique_ptr<HttpServer> server;
};

}  // namespace dyad::testing
