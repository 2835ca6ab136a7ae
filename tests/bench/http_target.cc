// Completions in JSON: tests/bench/http_target.h.
#include "tests/bench/http_target.h"

#include <utility>
#include <vector>

#include "nlohmann/json.hpp"
#include "server/base/mutex.h"
#include "server/base/status_macros.h"
#include "tests/bench/http_connection.h"

namespace dyad::bench {
namespace {

using Json = nlohmann::json;

int64_t CachedTokens(const Json& usage) {
  const auto details = usage.find("prompt_tokens_details");
  return details == usage.end() || !details->is_object() ? 0 : details->value("cached_tokens", 0);
}

class Completions final : public Target {
 public:
  explicit Completions(const ServerTargetOptions& options) : options_(options) {}

  absl::StatusOr<Answer> Generate(const Ids& prompt, int32_t new_tokens,
                                  const std::function<void(int64_t)>& on_tokens) override {
    const engine::Sampling& sampling = options_.sampling;
    const Json request = {{"model", options_.model},
                          {"prompt", prompt},
                          {"max_tokens", new_tokens},
                          {"ignore_eos", true},
                          {"temperature", sampling.temperature},
                          {"top_k", sampling.top_k},
                          {"top_p", sampling.top_p},
                          {"min_p", sampling.min_p},
                          {"repetition_penalty", sampling.repetition_penalty},
                          {"presence_penalty", sampling.presence_penalty},
                          {"return_token_ids", true},
                          {"stream", true},
                          {"stream_options", {{"include_usage", true}}}};
    Answer answer;
    std::string events;
    absl::Status wrong;
    const absl::Status status = Post(request, [&](std::string_view text) {
      events += text;
      for (size_t end; (end = events.find("\n\n")) != std::string::npos; events.erase(0, end + 2)) {
        if (!OnEvent(std::string_view(events).substr(0, end), on_tokens, answer)) {
          wrong = absl::DataLossError("an event that cannot be read: " + events.substr(0, end));
        }
      }
    });
    RETURN_IF_ERROR(status);
    RETURN_IF_ERROR(wrong);
    return answer;
  }

  absl::StatusOr<Answer> Score(const std::vector<Ids>& texts) override {
    const Json request = {{"model", options_.model},
                          {"prompt", texts},
                          {"max_tokens", 0},
                          {"echo", true},
                          {"logprobs", 0}};
    std::string body;
    RETURN_IF_ERROR(Post(request, [&](std::string_view text) { body += text; }));
    const Json answer = Json::parse(body, nullptr, false);
    if (!answer.is_object() || !answer.contains("choices")) return absl::DataLossError(body);
    Answer result{.cached_tokens = CachedTokens(answer.value("usage", Json::object()))};
    for (const Json& choice : answer["choices"]) {
      for (const Json& logprob : choice["logprobs"]["token_logprobs"]) {
        result.scored_tokens += logprob.is_number() ? 1 : 0;
      }
    }
    return result;
  }

 private:
  // "data: {…}" or "data: [DONE]".
  static bool OnEvent(std::string_view event, const std::function<void(int64_t)>& on_tokens,
                      Answer& answer) {
    if (!event.starts_with("data: ")) return false;
    event.remove_prefix(6);
    if (event == "[DONE]") return true;
    const Json json = Json::parse(event, nullptr, false);
    if (!json.is_object() || json.contains("error")) return false;
    if (const auto usage = json.find("usage"); usage != json.end() && usage->is_object()) {
      answer.cached_tokens = CachedTokens(*usage);
    }
    for (const Json& choice : json.value("choices", Json::array())) {
      const auto ids = choice.find("token_ids");
      if (ids != choice.end() && ids->is_array() && !ids->empty()) on_tokens(std::ssize(*ids));
    }
    return true;
  }

  absl::Status Post(const Json& request, const std::function<void(std::string_view)>& on_body) {
    ASSIGN_OR_RETURN(HttpConnection connection, TakeConnection());
    RETURN_IF_ERROR(connection.Post("/v1/completions", request.dump(), on_body));
    MutexLock lock(&mutex_);
    idle_.push_back(std::move(connection));
    return absl::OkStatus();
  }

  absl::StatusOr<HttpConnection> TakeConnection() {
    {
      MutexLock lock(&mutex_);
      if (!idle_.empty()) {
        HttpConnection connection = std::move(idle_.back());
        idle_.pop_back();
        return connection;
      }
    }
    return HttpConnection::Connect(options_.address, options_.timeout);
  }

  const ServerTargetOptions options_;
  Mutex mutex_;
  std::vector<HttpConnection> idle_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

std::unique_ptr<Target> HttpTarget(const ServerTargetOptions& options) {
  return std::make_unique<Completions>(options);
}

}  // namespace dyad::bench
