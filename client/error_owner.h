// Whose an error is: one table for every command. Only a line's own error is an answer.
#pragma once

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/json_line.h"

namespace dyad::client {

enum class ErrorOwner {
  // The same line gives the same error again: it is recorded as the line's answer.
  kLine,
  // The server has no room now and says when to ask again: nothing is recorded, the line waits.
  kFullQueue,
  // The server is away, or the call was cut off: ends the run, which can be gone on with.
  kServer,
  // A flag is wrong, the caller may not, or the output cannot be written: ends the run, and the
  // same command ends so again.
  kCommand,
};

// Of an error that `line` met, the line as it was sent. What the line names itself (a model, a
// convention, a context) is its own fault; the same from a flag is the command's.
// RESOURCE_EXHAUSTED is told apart by the reason in its ErrorInfo: QUEUE_FULL and UNREAD_ANSWERS
// pass, a size above a limit does not.
ErrorOwner OwnerOf(const absl::Status& error, const Json& line = Json::object());

// How long the server asks to wait before the next attempt (RetryInfo); 0.1 s if it does not say.
absl::Duration Pushback(const absl::Status& error);

}  // namespace dyad::client
