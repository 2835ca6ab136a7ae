// The index of a sharded checkpoint.
#include "server/checkpoint/shard_index.h"

#include <utility>

#include "server/base/json.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"
#include "server/base/string_map.h"
#include "server/checkpoint/mapped_file.h"
#include "server/checkpoint/stored_tensor.h"

namespace dyad {
namespace {

constexpr JsonBounds kBounds = {.max_bytes = kMaxIndexBytes, .max_depth = 8};

// Only "weight_map" is read; other keys may hold anything within the bounds.
class IndexHandler : public JsonHandler {
 public:
  ShardIndex& index() { return index_; }
  bool has_weight_map() const { return has_weight_map_; }

  bool key(string_t& key) override {
    key_ = std::move(key);
    if (depth_ == 1) {
      in_map_ = key_ == "weight_map";
      if (in_map_ && std::exchange(has_weight_map_, true)) {
        return Fail("'weight_map' is there twice, expected once");
      }
    }
    return true;
  }

  bool string(string_t& shard) override {
    if (depth_ == 0 || (in_map_ && depth_ == 1)) return Unexpected("a string");
    if (!in_map_) return true;
    if (absl::Status status = CheckTensorName(key_); !status.ok())
      return Fail(std::string(status.message()));
    if (absl::Status status = CheckPlainFileName(shard); !status.ok()) {
      return Fail(Text("tensor ", Quoted(key_), ": ", status.message()));
    }
    shards_.insert(shard);
    if (index_.size() == kMaxTensors || shards_.size() > kMaxShards) {
      return Fail(Text("lists more than ", kMaxTensors, " tensors or ", kMaxShards,
                       " shards, expected less"));
    }
    if (index_.emplace(key_, shard).second) return true;
    return Fail(Text("tensor ", Quoted(key_), " is listed twice, expected once"));
  }

  bool start_object(size_t) override {
    if (in_map_ && depth_ == 2) return Unexpected("an object");
    ++depth_;
    return true;
  }
  bool end_object() override {
    --depth_;
    return true;
  }
  bool start_array(size_t) override {
    if (depth_ == 0 || in_map_) return Unexpected("an array");
    ++depth_;
    return true;
  }
  bool end_array() override { return end_object(); }

  bool null() override { return Ignored("null"); }
  bool boolean(bool) override { return Ignored("a boolean"); }
  bool number_integer(number_integer_t) override { return Ignored("a number"); }
  bool number_unsigned(number_unsigned_t) override { return Ignored("a number"); }
  bool number_float(number_float_t, const string_t&) override { return Ignored("a number"); }

 private:
  bool Ignored(std::string_view found) { return (depth_ > 0 && !in_map_) || Unexpected(found); }

  bool Unexpected(std::string_view found) override {
    if (depth_ == 0) return Fail(Text("holds ", found, ", expected an object"));
    if (depth_ == 1) return Fail(Text("'weight_map' is ", found, ", expected an object"));
    return Fail(Text("tensor ", Quoted(key_), ": its shard is ", found, ", expected a file name"));
  }

  size_t depth_ = 0;
  bool in_map_ = false;
  bool has_weight_map_ = false;
  std::string key_;
  ShardIndex index_;
  StringSet shards_;
};

}  // namespace

absl::StatusOr<ShardIndex> ReadShardIndex(std::string_view json, std::string_view file) {
  const auto error = [file](const std::string& message) {
    return absl::InvalidArgumentError(Text(Quoted(file), ": ", message));
  };
  IndexHandler handler;
  RETURN_IF_ERROR(ReadJson(json, Quoted(file), kBounds, handler));
  if (!handler.has_weight_map()) return error("has no key 'weight_map', expected one");
  if (handler.index().empty()) return error("'weight_map' is empty, expected tensors");
  return std::move(handler.index());
}

}  // namespace dyad
