// Little-endian numbers and runs of bytes, read from front to back; never past the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace dyad {

inline std::string_view AsText(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  size_t position() const { return position_; }
  size_t remaining() const { return bytes_.size() - position_; }

  // The next `count` bytes, or nothing (and no move) where fewer are left.
  std::optional<std::span<const std::byte>> Bytes(uint64_t count) {
    if (count > remaining()) return std::nullopt;
    const auto result = bytes_.subspan(position_, count);
    position_ += count;
    return result;
  }

  template <typename Unsigned>
  std::optional<Unsigned> Number() {
    const auto bytes = Bytes(sizeof(Unsigned));
    if (!bytes) return std::nullopt;
    uint64_t value = 0;
    for (size_t i = sizeof(Unsigned); i-- > 0;)
      value = value << 8 | static_cast<uint8_t>((*bytes)[i]);
    return static_cast<Unsigned>(value);
  }

  // The text before the next line feed, which is passed over; nothing where there is none.
  std::optional<std::string_view> Line() {
    const std::string_view rest = AsText(bytes_.subspan(position_));
    const size_t length = rest.find('\n');
    if (length == rest.npos) return std::nullopt;
    position_ += length + 1;
    return rest.substr(0, length);
  }

 private:
  std::span<const std::byte> bytes_;
  size_t position_ = 0;
};

}  // namespace dyad
