// An answer that comes later and leaves as a whole.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "server/base/catch_exceptions.h"
#include "server/routes/http_call.h"

namespace dyad {

// Answer is WholeGenerateAnswer or ScoreAnswer, made from its Plan and ending with a Result. Keeps
// itself alive until the call has ended, which it does also when the client has left: the engine
// then ends the sequences.
template <typename Answer, typename Plan, typename Result>
class WholeAnswer final : public std::enable_shared_from_this<WholeAnswer<Answer, Plan, Result>> {
 public:
  // On the exchange's thread, never on the engine's.
  using Write = std::function<absl::StatusOr<HttpResponse>(const Result& result)>;

  // A refusal instead of a plan is the answer.
  static void Start(std::shared_ptr<HttpCall> call, absl::StatusOr<Plan> plan, Write write) {
    if (!plan.ok()) return call->Fail(plan.status());
    const auto self = std::make_shared<WholeAnswer>();
    self->call_ = std::move(call);
    self->write_ = std::move(write);
    self->self_ = self;
    self->answer_.emplace(*std::move(plan), *self->call_,
                          [raw = self.get()](absl::StatusOr<Result> result) {
                            // As soon as the work may run, it may end this.
                            const std::shared_ptr<HttpExchange> exchange = raw->call_->exchange();
                            exchange->Post([raw, result = std::move(result)] { raw->End(result); });
                          });
    self->answer_->Start();
    self->call_->exchange()->OnLeave([weak = self->weak_from_this()] {
      if (const auto that = weak.lock(); that != nullptr) that->answer_->Abandon();
    });
  }

 private:
  void End(const absl::StatusOr<Result>& result) {
    const absl::StatusOr<HttpResponse> response =
        CatchExceptions("answer", [&]() -> absl::StatusOr<HttpResponse> {
          if (!result.ok()) return result.status();
          return write_(*result);
        });
    if (response.ok()) {
      call_->Answer(*response);
    } else {
      call_->Fail(response.status());
    }
    self_.reset();  // may destroy this
  }

  std::shared_ptr<HttpCall> call_;
  Write write_;
  std::optional<Answer> answer_;
  std::shared_ptr<WholeAnswer> self_;
};

}  // namespace dyad
