// What `dyadctl blimp` may be given. By the first byte: the bytes of a file; or a text, or names
// and contents cut at bytes 0, that are packed here, so that no checksum refuses them.
#include <archive.h>
#include <archive_entry.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/corpus.h"
#include "tests/fuzz/fuzz_input.h"

namespace dyad {
namespace {

enum class Packed { kNot, kGzip, kZip, kTarGz };

// A name that the format cannot have is left out.
void AddEntry(archive* writer, const std::string& name, const std::string& content) {
  archive_entry* entry = archive_entry_new();
  archive_entry_set_pathname(entry, name.c_str());
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_entry_set_perm(entry, 0644);
  archive_entry_set_size(entry, static_cast<la_int64_t>(content.size()));
  if (archive_write_header(writer, entry) == ARCHIVE_OK) {
    archive_write_data(writer, content.data(), content.size());
  }
  archive_entry_free(entry);
}

std::string Pack(std::string_view text, Packed packed) {
  std::string bytes(1 << 18, '\0');
  size_t used = 0;
  archive* writer = archive_write_new();
  if (packed != Packed::kZip) archive_write_add_filter_gzip(writer);
  if (packed == Packed::kGzip) archive_write_set_format_raw(writer);
  if (packed == Packed::kZip) archive_write_set_format_zip(writer);
  if (packed == Packed::kTarGz) archive_write_set_format_pax_restricted(writer);
  archive_write_open_memory(writer, bytes.data(), bytes.size(), &used);
  if (packed == Packed::kGzip) {
    AddEntry(writer, "text", std::string(text));
  } else {
    const std::vector<std::string> parts = testing::Parts(text, '\0', 8);
    for (size_t i = 0; i + 1 < parts.size(); i += 2) AddEntry(writer, parts[i], parts[i + 1]);
  }
  archive_write_close(writer);
  archive_write_free(writer);
  bytes.resize(used);
  return bytes;
}

}  // namespace
}  // namespace dyad

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dyad;
  if (size == 0) return 0;
  static const testing::FuzzFolder folder;
  const auto packed = static_cast<Packed>(data[0] % 4);
  const std::string_view rest = testing::AsText(data + 1, size - 1);
  folder.Write("paradigm.jsonl", packed == Packed::kNot ? std::string(rest) : Pack(rest, packed));
  const auto corpus = client::ReadCorpus(folder.Path("paradigm.jsonl"), {});
  if (!corpus.ok()) {
    testing::Require(!corpus.status().message().empty(), "a refusal says why");
    return 0;
  }
  for (const std::string& line : corpus->lines) {
    testing::Require(!line.empty() && line.find('\n') == line.npos, "a line is one line");
  }
  return 0;
}
