// Two servers of one kind with different handlers.
#include "server/http_ports.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/base/status_macros.h"
#include "server/connect/routes.h"
#include "server/kserve/routes.h"
#include "server/openai/error.h"
#include "server/openai/routes.h"

namespace dyad {
namespace {

// A scrape needs little, and one that hangs keeps no other waiting.
HttpServerOptions MetricsOptions() {
  HttpServerOptions options;
  options.name = "metrics";
  options.threads = 1;
  options.max_connections = 256;
  options.max_body_bytes = 0;
  options.idle_timeout = absl::Minutes(2);
  options.read_timeout = absl::Seconds(10);
  options.write_timeout = absl::Seconds(10);
  return options;
}

HttpResponse Plain(int status, std::string text) {
  return {status, {{"Content-Type", "text/plain; charset=utf-8"}}, std::move(text)};
}

// "127.0.0.1:0" with the port that was picked.
std::string AddressOf(const std::string& asked, int port) {
  return absl::StrCat(asked.substr(0, asked.rfind(':')), ":", port);
}

std::vector<std::string> ListOf(const std::string& text) {
  if (text.empty()) return {};
  return absl::StrSplit(text, ',', absl::SkipEmpty());
}

}  // namespace

HttpHandlers MetricsPage(const Metrics& metrics) {
  HttpHandlers handlers;
  handlers.handler = [&metrics](const std::shared_ptr<HttpExchange>& exchange) {
    const HttpRequest& request = exchange->request();
    if (request.path != "/metrics") return exchange->Answer(Plain(404, "only /metrics is here\n"));
    if (request.method != "GET" && request.method != "HEAD") {
      HttpResponse response = Plain(405, "/metrics takes GET\n");
      response.fields.push_back({"Allow", "GET, HEAD"});
      return exchange->Answer(std::move(response));
    }
    exchange->Answer(
        {200, {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}}, metrics.Text()});
  };
  handlers.on_fault = [](const HttpFault& fault) {
    return Plain(fault.status, fault.message + "\n");
  };
  return handlers;
}

absl::StatusOr<std::unique_ptr<HttpPorts>> HttpPorts::Prepare(
    const Options& options, std::shared_ptr<Certificates> certificates, const Metrics& metrics,
    const LogFunction& log) {
  auto ports = std::make_unique<HttpPorts>();
  ports->log_ = log;
  ports->certificates_ = std::move(certificates);
  if (!options.http.empty()) {
    ASSIGN_OR_RETURN(ports->listener_, Listener::Bind(options.http));
    ports->http_address_ = AddressOf(options.http, ports->listener_->port());
  }
  if (!options.metrics.empty()) {
    HttpServer::Parts parts;
    ASSIGN_OR_RETURN(parts.listener, Listener::Bind(options.metrics));
    ports->metrics_address_ = AddressOf(options.metrics, parts.listener->port());
    parts.handlers = MetricsPage(metrics);
    parts.log = log;
    ASSIGN_OR_RETURN(ports->metrics_, HttpServer::Start(MetricsOptions(), std::move(parts)));
  }
  return ports;
}

absl::Status HttpPorts::Open(const Options& options, const ServerState& state) {
  if (listener_ == nullptr) return absl::OkStatus();
  HttpDoorOptions door;
  door.allowed_hosts = ListOf(AllowedHosts(options));
  door.cors_origins = ListOf(options.http_cors_origins);
  std::vector<RouteFamily> families;
  families.push_back(OpenAiRoutes(state, options.http_max_prompts));
  families.push_back(ConnectRoutes());
  if (options.kserve == Kserve::kOn) families.push_back(KserveRoutes());
  door_ = std::make_unique<HttpDoor>(state, std::move(door), std::move(families));
  HttpServer::Parts parts;
  parts.listener = std::move(listener_);
  parts.certificates = certificates_;
  parts.handlers.handler = [door = door_.get()](const std::shared_ptr<HttpExchange>& exchange) {
    door->Handle(exchange);
  };
  parts.handlers.on_fault = &OpenAiFault;
  parts.log = log_;
  ASSIGN_OR_RETURN(http_, HttpServer::Start(options.http_server, std::move(parts)));
  return absl::OkStatus();
}

void HttpPorts::Shutdown(absl::Duration limit) {
  if (http_ != nullptr) http_->Shutdown(limit);
}

}  // namespace dyad
