// Interprets the part of Python's pickle format that torch.save writes.
#include "server/checkpoint/pickle_machine.h"

#include <bit>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"
#include "server/checkpoint/byte_reader.h"
#include "server/checkpoint/pickle_operation.h"

namespace dyad {
namespace {

class Machine {
 public:
  explicit Machine(std::span<const std::byte> pickle) : reader_(pickle) {}

  absl::StatusOr<PickleObjects> Run() {
    const auto first = reader_.Number<uint8_t>();
    const auto protocol = reader_.Number<uint8_t>();
    if (!protocol) return CutShort();
    if (*first != static_cast<uint8_t>(PickleOperation::kProto) || *protocol < 2 || *protocol > 5) {
      return Invalid("does not begin as a pickle of protocol 2 to 5, expected one");
    }
    for (size_t count = 0; count < kMaxPickleOperations; ++count) {
      operation_at_ = reader_.position();
      const auto operation = reader_.Number<uint8_t>();
      if (!operation) return CutShort();
      if (*operation == static_cast<uint8_t>(PickleOperation::kStop)) return Finish();
      RETURN_IF_ERROR(Step(*operation));
      if (stack_.size() > kMaxPickleStack) {
        return Invalid("has more than ", kMaxPickleStack, " values on its stack, expected less");
      }
    }
    return Invalid("has more than ", kMaxPickleOperations, " operations, expected less");
  }

 private:
  template <typename... Parts>
  absl::Status Invalid(const Parts&... parts) const {
    return absl::InvalidArgumentError(Text("pickle ", parts..., " (byte ", operation_at_, ")"));
  }
  absl::Status CutShort() const {
    return absl::DataLossError(Text("pickle ends inside the operation at byte ", operation_at_,
                                    ", expected all of it and a STOP"));
  }

  absl::StatusOr<PickleObjects> Finish() {
    if (stack_.size() != 1 || !marks_.empty()) {
      return Invalid("stops with ", stack_.size(), " values and ", marks_.size(),
                     " open marks, expected one value");
    }
    if (reader_.remaining() != 0) {
      return Invalid("has ", reader_.remaining(), " bytes after its STOP, expected none");
    }
    objects_.root = stack_.back();
    return std::move(objects_);
  }

  // ---- Stack: what lies below the last mark cannot be taken.

  absl::Status Push(PickleValue value) {
    stack_.push_back(value);
    return absl::OkStatus();
  }

  absl::StatusOr<PickleValue> Pop() {
    if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) {
      return Invalid("takes a value from an empty stack, expected one there");
    }
    const PickleValue value = stack_.back();
    stack_.pop_back();
    return value;
  }

  absl::StatusOr<std::vector<PickleValue>> PopMany(size_t count) {
    if (stack_.size() - (marks_.empty() ? 0 : marks_.back()) < count) {
      return Invalid("takes ", count, " values from a smaller stack, expected them there");
    }
    std::vector<PickleValue> values(stack_.end() - static_cast<ptrdiff_t>(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return values;
  }

  absl::StatusOr<std::vector<PickleValue>> PopToMark() {
    if (marks_.empty()) return Invalid("closes a mark that is not open, expected one");
    ASSIGN_OR_RETURN(auto values, PopMany(stack_.size() - marks_.back()));
    marks_.pop_back();
    return values;
  }

  template <typename Container>
  absl::Status PushContainer(std::vector<PickleValue> values) {
    objects_.containers.push_back(std::move(values));
    return Push(Container{static_cast<uint32_t>(objects_.containers.size() - 1)});
  }

  // ---- One operation.

  absl::Status Step(uint8_t operation) {
    switch (static_cast<PickleOperation>(operation)) {
      case PickleOperation::kFrame: {
        const auto length = reader_.Number<uint64_t>();
        return length && *length <= reader_.remaining() ? absl::OkStatus() : CutShort();
      }
      case PickleOperation::kMark:
        if (marks_.size() == kMaxPickleMarks) {
          return Invalid("nests deeper than ", kMaxPickleMarks, ", expected less");
        }
        marks_.push_back(stack_.size());
        return absl::OkStatus();
      case PickleOperation::kNone:
        return Push(PickleNone{});
      case PickleOperation::kNewTrue:
        return Push(true);
      case PickleOperation::kNewFalse:
        return Push(false);
      case PickleOperation::kBinInt1:
        return PushInteger(reader_.Number<uint8_t>());
      case PickleOperation::kBinInt2:
        return PushInteger(reader_.Number<uint16_t>());
      case PickleOperation::kBinInt:
        if (const auto bits = reader_.Number<uint32_t>()) {
          return Push(int64_t{static_cast<int32_t>(*bits)});
        }
        return CutShort();
      case PickleOperation::kLong1:
        return PushLong();
      case PickleOperation::kBinFloat:
        if (const auto bits =
                reader_.Number<uint64_t>()) {  // the one big-endian number of the format
          return Push(std::bit_cast<double>(__builtin_bswap64(*bits)));
        }
        return CutShort();
      case PickleOperation::kShortBinUnicode:
        return PushText(reader_.Number<uint8_t>());
      case PickleOperation::kBinUnicode:
        return PushText(reader_.Number<uint32_t>());
      case PickleOperation::kEmptyTuple:
        return PushContainer<PickleTuple>({});
      case PickleOperation::kEmptyList:
        return PushContainer<PickleList>({});
      case PickleOperation::kEmptyDict:
        return PushContainer<PickleDict>({});
      case PickleOperation::kTuple1:
      case PickleOperation::kTuple2:
      case PickleOperation::kTuple3: {
        ASSIGN_OR_RETURN(auto values,
                         PopMany(operation - static_cast<uint8_t>(PickleOperation::kTuple1) + 1u));
        return PushContainer<PickleTuple>(std::move(values));
      }
      case PickleOperation::kTuple: {
        ASSIGN_OR_RETURN(auto values, PopToMark());
        return PushContainer<PickleTuple>(std::move(values));
      }
      case PickleOperation::kAppend: {
        ASSIGN_OR_RETURN(auto values, PopMany(1));
        return Extend<PickleList>(values);
      }
      case PickleOperation::kAppends: {
        ASSIGN_OR_RETURN(auto values, PopToMark());
        return Extend<PickleList>(values);
      }
      case PickleOperation::kSetItem: {
        ASSIGN_OR_RETURN(auto values, PopMany(2));
        return Extend<PickleDict>(values);
      }
      case PickleOperation::kSetItems: {
        ASSIGN_OR_RETURN(auto values, PopToMark());
        if (values.size() % 2 != 0) return Invalid("sets a key without a value, expected pairs");
        return Extend<PickleDict>(values);
      }
      case PickleOperation::kBinPut:
        return Put(reader_.Number<uint8_t>());
      case PickleOperation::kLongBinPut:
        return Put(reader_.Number<uint32_t>());
      case PickleOperation::kMemoize:
        return Put(std::optional<size_t>(memo_.size()));
      case PickleOperation::kBinGet:
        return Get(reader_.Number<uint8_t>());
      case PickleOperation::kLongBinGet:
        return Get(reader_.Number<uint32_t>());
      case PickleOperation::kGlobal: {
        const auto module = reader_.Line();
        const auto name = module ? reader_.Line() : std::nullopt;
        return name ? PushGlobal(*module, *name) : CutShort();
      }
      case PickleOperation::kStackGlobal: {
        ASSIGN_OR_RETURN(const auto values, PopMany(2));
        const auto* module = std::get_if<std::string_view>(&values[0]);
        const auto* name = std::get_if<std::string_view>(&values[1]);
        if (module == nullptr || name == nullptr) {
          return Invalid("names a global by ", PickleKind(values[0]), " and ",
                         PickleKind(values[1]), ", expected strings");
        }
        return PushGlobal(*module, *name);
      }
      case PickleOperation::kReduce:
        return Reduce();
      case PickleOperation::kBuild:
        return Build();
      case PickleOperation::kBinPersId:
        return PushStorage();
      default:
        return Invalid("uses operation ", absl::StrFormat("0x%02x", operation),
                       ", expected only those that torch.save needs for tensors");
    }
  }

  template <typename Unsigned>
  absl::Status PushInteger(std::optional<Unsigned> value) {
    return value ? Push(int64_t{*value}) : CutShort();
  }

  // A little-endian two's complement number of up to 8 bytes; longer ones are no size of anything.
  absl::Status PushLong() {
    const auto length = reader_.Number<uint8_t>();
    const auto bytes = length ? reader_.Bytes(*length) : std::nullopt;
    if (!bytes) return CutShort();
    if (*length > 8) return Invalid("holds an integer of ", *length, " bytes, expected at most 8");
    uint64_t value = 0;
    for (size_t i = 0; i < *length; ++i) value |= static_cast<uint64_t>((*bytes)[i]) << 8 * i;
    const bool negative = *length > 0 && (static_cast<uint8_t>(bytes->back()) & 0x80) != 0;
    if (negative && *length < 8) value |= ~uint64_t{0} << 8 * *length;
    return Push(static_cast<int64_t>(value));
  }

  template <typename Unsigned>
  absl::Status PushText(std::optional<Unsigned> length) {
    const auto bytes = length ? reader_.Bytes(*length) : std::nullopt;
    return bytes ? Push(AsText(*bytes)) : CutShort();
  }

  template <typename Container>
  absl::Status Extend(const std::vector<PickleValue>& values) {
    ASSIGN_OR_RETURN(const PickleValue target, Pop());
    const auto* container = std::get_if<Container>(&target);
    if (container == nullptr) {
      return Invalid("adds elements to ", PickleKind(target), ", expected ",
                     PickleKind(Container{}));
    }
    auto& elements = objects_.containers[container->index];
    elements.insert(elements.end(), values.begin(), values.end());
    return Push(target);
  }

  template <typename Unsigned>
  absl::Status Put(std::optional<Unsigned> index) {
    if (!index) return CutShort();
    ASSIGN_OR_RETURN(const PickleValue value, Pop());
    memo_.insert_or_assign(*index, value);
    return Push(value);
  }

  template <typename Unsigned>
  absl::Status Get(std::optional<Unsigned> index) {
    if (!index) return CutShort();
    const auto found = memo_.find(*index);
    if (found == memo_.end())
      return Invalid("refers to memo ", *index, ", expected one set before");
    return Push(found->second);
  }

  absl::Status PushGlobal(std::string_view module, std::string_view name) {
    if (const auto meaning = FindPickleGlobal(module, name)) return Push(*meaning);
    return Invalid("names the global ", Quoted(Text(module, ".", name)),
                   ", expected only those of tensors; nothing was executed");
  }

  // ---- Calls, which here are cases. Arguments must have the kinds that torch.save writes.

  absl::Status Reduce() {
    ASSIGN_OR_RETURN(const auto values, PopMany(2));
    const auto* function = std::get_if<PickleFunction>(&values[0]);
    const auto* tuple = std::get_if<PickleTuple>(&values[1]);
    if (function == nullptr || tuple == nullptr) {
      return Invalid("calls ", PickleKind(values[0]), " with ", PickleKind(values[1]),
                     ", expected a function of tensors and a tuple");
    }
    const auto arguments = objects_.elements(*tuple);
    switch (*function) {
      case PickleFunction::kOrderedDict:
        if (!arguments.empty())
          return Invalid("makes an OrderedDict from arguments, expected none");
        return PushContainer<PickleDict>({});
      case PickleFunction::kRebuildTensor:
        return PushTensor(arguments);
      case PickleFunction::kRebuildParameter:  // (tensor, requires_grad, hooks): the tensor it is
        if (arguments.size() != 3 || !std::holds_alternative<PickleTensor>(arguments[0])) {
          return Invalid(
              "calls _rebuild_parameter with other arguments, expected a tensor and 2 more");
        }
        return Push(arguments[0]);
    }
    return absl::OkStatus();
  }

  // (storage, offset, shape, strides, requires_grad, hooks[, metadata])
  absl::Status PushTensor(std::span<const PickleValue> arguments) {
    const bool counted = arguments.size() == 6 || arguments.size() == 7;
    const auto* storage = counted ? std::get_if<PickleStorage>(&arguments[0]) : nullptr;
    const auto* offset = counted ? std::get_if<int64_t>(&arguments[1]) : nullptr;
    const auto* shape = counted ? std::get_if<PickleTuple>(&arguments[2]) : nullptr;
    const auto* strides = counted ? std::get_if<PickleTuple>(&arguments[3]) : nullptr;
    if (storage == nullptr || offset == nullptr || shape == nullptr || strides == nullptr) {
      return Invalid(
          "calls _rebuild_tensor_v2 with other arguments, expected a storage, an integer, ",
          "two tuples and 2 or 3 more");
    }
    objects_.tensors.push_back({objects_.storages[storage->index], *offset, *shape, *strides});
    return Push(PickleTensor{static_cast<uint32_t>(objects_.tensors.size() - 1)});
  }

  // ("storage", type, key, location, elements)
  absl::Status PushStorage() {
    ASSIGN_OR_RETURN(const PickleValue id, Pop());
    const auto* tuple = std::get_if<PickleTuple>(&id);
    const auto parts =
        tuple != nullptr ? objects_.elements(*tuple) : std::span<const PickleValue>();
    const bool counted = parts.size() == 5;
    const auto* tag = counted ? std::get_if<std::string_view>(&parts[0]) : nullptr;
    const auto* type = counted ? std::get_if<PickleStorageType>(&parts[1]) : nullptr;
    const auto* key = counted ? std::get_if<std::string_view>(&parts[2]) : nullptr;
    const auto* elements = counted ? std::get_if<int64_t>(&parts[4]) : nullptr;
    if (tag == nullptr || *tag != "storage" || type == nullptr || key == nullptr ||
        elements == nullptr) {
      return Invalid("has a persistent id of another form, expected ",
                     "('storage', type, key, location, elements)");
    }
    objects_.storages.push_back({type->type, *key, *elements});
    return Push(PickleStorage{static_cast<uint32_t>(objects_.storages.size() - 1)});
  }

  // Attributes set on a state dict (`_metadata`) say nothing about its tensors: they are dropped.
  absl::Status Build() {
    ASSIGN_OR_RETURN(const auto values, PopMany(2));
    if (!std::holds_alternative<PickleDict>(values[0])) {
      return Invalid("sets attributes of ", PickleKind(values[0]), ", expected a dict");
    }
    return Push(values[0]);
  }

  ByteReader reader_;
  size_t operation_at_ = 0;
  std::vector<PickleValue> stack_;
  std::vector<size_t> marks_;  // sizes of the stack
  std::unordered_map<uint64_t, PickleValue> memo_;
  PickleObjects objects_;
};

}  // namespace

absl::StatusOr<PickleObjects> RunPickle(std::span<const std::byte> pickle) {
  return Machine(pickle).Run();
}

}  // namespace dyad
