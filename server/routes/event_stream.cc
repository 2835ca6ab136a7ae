// All but the callbacks of the engine runs on the exchange's thread, one thing after the other.
#include "server/routes/event_stream.h"

#include <atomic>
#include <optional>
#include <utility>

#include "server/base/message_text.h"

namespace dyad {
namespace {

constexpr char kFiller[] = ": waiting\n\n";

std::string Event(std::string_view data) { return Text("data: ", data, "\n\n"); }

// Keeps itself alive until the call has ended, which it does also when the client has left: the
// engine then ends the sequences.
class EventStream final : public std::enable_shared_from_this<EventStream> {
 public:
  explicit EventStream(std::unique_ptr<EventWriter> writer) : writer_(std::move(writer)) {}

  void Start() {
    self_ = shared_from_this();
    answer_.emplace(writer_->plans(), call(), Delivery::kPieces, [this] {
      is_told_early_ = true;
      // As soon as the work may run, it may end this.
      const std::shared_ptr<HttpExchange> exchange = call().exchange();
      exchange->Post([this] {
        is_told_ = true;
        if (!is_writing_) WriteNext();
      });
    });
    answer_->Start();
    // A refusal is told within Start, and gets a status of its own. Who was let in gets a head now.
    if (!is_told_early_) Send("");
    call().exchange()->OnLeave([weak = weak_from_this()] {
      if (const auto self = weak.lock(); self != nullptr) self->Leave();
    });
  }

 private:
  HttpCall& call() { return writer_->call(); }

  void Leave() {
    call().exchange()->Post([self = shared_from_this()] {
      self->has_left_ = true;
      self->answer_->Abandon();
      // Of the write that was under way nothing more is heard.
      if (std::exchange(self->is_writing_, false)) self->WriteNext();
    });
  }

  void Send(std::string bytes) {
    is_writing_ = true;
    const auto written = [this, self = shared_from_this()] {
      call().unread().Remove(std::exchange(unread_, 0));
      is_writing_ = false;
      WriteNext();
    };
    if (std::exchange(is_begun_, true)) return call().exchange()->Write(std::move(bytes), written);
    HttpFields fields = call().Fields();
    fields.push_back({"Content-Type", "text/event-stream; charset=utf-8"});
    fields.push_back({"Cache-Control", "no-cache"});
    call().exchange()->Begin({200, std::move(fields), std::move(bytes)}, kFiller, written);
  }

  // Takes parts until one is being written, or there is none: then the engine tells of the next.
  void WriteNext() {
    while (std::exchange(is_told_, false)) {
      const std::optional<GeneratePart> part = answer_->Next();
      if (!part.has_value()) continue;
      is_told_ = true;
      if (part->end.has_value()) return End(*part->end);
      absl::StatusOr<std::string> event = writer_->Piece(part->piece);
      if (event.ok()) event = Event(*event);
      if (event.ok()) failure_.Update(call().unread().Add(static_cast<int64_t>(event->size())));
      failure_.Update(event.status());
      if (failure_.ok() && !has_left_) {
        unread_ = static_cast<int64_t>(event->size());
        return Send(*std::move(event));
      }
      answer_->Abandon();  // its end is the next part
    }
  }

  void End(const absl::Status& end) {
    failure_.Update(end);
    if (failure_.ok()) {
      std::string tail;
      for (const std::string& data : writer_->Tail()) tail += Event(data);
      call().EndStream(std::move(tail), failure_);
    } else if (is_begun_) {
      call().EndStream(Event(call().ErrorData(failure_)), failure_);
    } else {
      call().Fail(failure_);
    }
    self_.reset();  // may destroy this
  }

  const std::unique_ptr<EventWriter> writer_;
  std::shared_ptr<EventStream> self_;
  std::optional<GenerateAnswer> answer_;
  std::atomic<bool> is_told_early_ = false;
  bool is_told_ = false;  // there is a part, or was one at the last look
  bool is_writing_ = false;
  bool is_begun_ = false;
  bool has_left_ = false;
  int64_t unread_ = 0;  // of the write
  absl::Status failure_;
};

}  // namespace

void StartEvents(std::unique_ptr<EventWriter> writer) {
  std::make_shared<EventStream>(std::move(writer))->Start();
}

}  // namespace dyad
