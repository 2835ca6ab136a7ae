// What Generate answers whole, asked for piece by piece.
#pragma once

#include "dyad/v1/generation.pb.h"

namespace dyad::testing {

inline v1::GenerateStreamRequest ForStream(const v1::GenerateRequest& request) {
  v1::GenerateStreamRequest streamed;
  *streamed.mutable_request() = request;
  return streamed;
}

}  // namespace dyad::testing
