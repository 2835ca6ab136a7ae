// What is generated, as server-sent events.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "dyad/v1/generation.pb.h"
#include "server/api/generate_answer.h"
#include "server/routes/http_call.h"

namespace dyad {

// What the events of one call say. On the exchange's thread.
class EventWriter {
 public:
  virtual ~EventWriter() = default;
  virtual HttpCall& call() = 0;
  virtual const GenerationPlans& plans() const = 0;
  // The data of the event for a piece of a choice.
  virtual absl::StatusOr<std::string> Piece(const v1::Choice& choice) = 0;
  // The data of the events behind the last piece, if nothing failed.
  virtual std::vector<std::string> Tail() = 0;
};

// Answers the call with an event for each piece. An error before the first one is an answer of its
// own; later it is an event, and the stream ends without its tail. A reader that is slower than the
// model gets fewer and larger pieces.
void StartEvents(std::unique_ptr<EventWriter> writer);

}  // namespace dyad
