// A hand-made tokenizer for tests: 256 single bytes, a few merges, and folders with its files.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "nlohmann/json.hpp"
#include "server/text/byte_alphabet.h"
#include "server/text/tokenizer_spec.h"
#include "server/text/utf8.h"

namespace dyad::testing {

// The entry of a text in the byte alphabet: " a" -> "Ġa".
inline std::string Entry(const std::string& bytes) {
  std::string entry;
  for (const char byte : bytes) entry += EncodeUtf8(CharacterOfByte(static_cast<uint8_t>(byte)));
  return entry;
}

// Ids 0...255 are the bytes; each merge adds one id, from 256 on.
struct TinyMerge {
  std::string left;
  std::string right;
};
inline std::vector<TinyMerge> TinyMerges() {
  return {{"h", "e"}, {"l", "l"}, {"he", "ll"}, {"hell", "o"}, {" ", "w"}, {" w", "o"}, {"a", "a"}};
}
inline constexpr int32_t kHe = 256;
inline constexpr int32_t kLl = 257;
inline constexpr int32_t kHell = 258;
inline constexpr int32_t kHello = 259;
inline constexpr int32_t kSpaceW = 260;
inline constexpr int32_t kSpaceWo = 261;
inline constexpr int32_t kAa = 262;
inline constexpr int32_t kEnd = 263;  // "<end>": in the vocabulary, special where a test says so

inline TokenizerSpec TinySpec() {
  TokenizerSpec spec;
  spec.vocabulary_source = "vocabulary of the test";
  spec.merges_source = "merges of the test";
  for (int byte = 0; byte < 256; ++byte) {
    spec.vocabulary[Entry(std::string(1, static_cast<char>(byte)))] = byte;
  }
  for (const TinyMerge& merge : TinyMerges()) {
    const int32_t id = static_cast<int32_t>(spec.vocabulary.size());
    spec.vocabulary[Entry(merge.left + merge.right)] = id;
    spec.merges.emplace_back(Entry(merge.left), Entry(merge.right));
  }
  spec.vocabulary["<end>"] = kEnd;
  return spec;
}

inline AddedToken MakeAdded(const std::string& content, int32_t id) {
  AddedToken token;
  token.content = content;
  token.id = id;
  return token;
}

inline nlohmann::json TinyVocabularyJson() {
  nlohmann::json vocabulary = nlohmann::json::object();
  for (const auto& [entry, id] : TinySpec().vocabulary) vocabulary[entry] = id;
  return vocabulary;
}

// tokenizer.json of the tiny tokenizer, with "<end>" special.
inline nlohmann::json TinyTokenizerJson() {
  nlohmann::json merges = nlohmann::json::array();
  for (const auto& [left, right] : TinySpec().merges) merges.push_back(left + " " + right);
  return {{"added_tokens", {{{"id", kEnd}, {"content", "<end>"}, {"special", true}}}},
          {"normalizer", nullptr},
          {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}}},
          {"post_processor", {{"type", "ByteLevel"}}},
          {"decoder", {{"type", "ByteLevel"}}},
          {"model", {{"type", "BPE"}, {"vocab", TinyVocabularyJson()}, {"merges", merges}}}};
}

inline std::string TinyMergesText() {
  std::string text = "#version: 0.2\n";
  for (const auto& [left, right] : TinySpec().merges) text += left + " " + right + "\n";
  return text;
}

// A folder of its own below the system's, removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    static int count = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("dyad_text_test_" + std::to_string(getpid()) + "_" + std::to_string(count++));
    std::filesystem::create_directories(path_);
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::filesystem::path Write(const std::string& name, const std::string& content) const {
    std::ofstream(path_ / name, std::ios::binary) << content;
    return path_ / name;
  }
  std::filesystem::path Write(const std::string& name, const nlohmann::json& content) const {
    return Write(name, content.dump());
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace dyad::testing
