// Minimal pairs over one ScoreMinimalPairs stream, of any length.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "dyad/v1/scoring.grpc.pb.h"
#include "grpcpp/channel.h"

namespace dyad::client {

struct PairStreamOptions {
  std::string model = {};  // empty: the server's only one
  v1::Convention convention = v1::CONVENTION_UNSPECIFIED;
  v1::SpecialTokens special_tokens = v1::SPECIAL_TOKENS_UNSPECIFIED;
  // How far the newest pair that was sent may be ahead of the oldest without a result, in pairs;
  // >= 1. Bounds what waits here and what a caller must hold to put results in order.
  int64_t window = 512;
  int64_t pairs_per_message = 16;  // 1 ... 1024
  // A broken stream (UNAVAILABLE, RESOURCE_EXHAUSTED) is opened again and the pairs without a
  // result are sent again, up to this many times without one new result.
  int max_reopenings = 4;
  absl::Duration first_backoff = absl::Milliseconds(100);  // grows threefold each time
};

// What the server said about the whole stream.
struct PairStreamInfo {
  v1::Convention convention = v1::CONVENTION_UNSPECIFIED;
  std::string model;
  std::string model_digest;
};

// The next pair, or nothing at the end. Indices must ascend. Called from one thread, not the
// caller's; never again once it has returned nothing.
using PairSource = std::function<std::optional<v1::MinimalPair>()>;
// One result per pair, in any order, on the calling thread. A bad pair has `error` set.
using PairSink = std::function<void(const v1::PairScore&)>;

// Returns when every pair has its result. Uses one thread more for writing.
// Errors: what the server ended the stream with, after the reopenings; results that came before
// were delivered.
absl::StatusOr<PairStreamInfo> ScorePairs(const std::shared_ptr<grpc::Channel>& channel,
                                          const PairStreamOptions& options,
                                          const PairSource& source, const PairSink& sink);

}  // namespace dyad::client
