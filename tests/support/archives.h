// Packed files for tests, written by libarchive.
#pragma once

#include <archive.h>
#include <archive_entry.h>

#include <array>
#include <map>
#include <string>

#include "gtest/gtest.h"

namespace dyad::testing {

using ArchivedFiles = std::map<std::string, std::string>;  // name -> content

// Into an open writer, in the order of the names; then frees it. `links`: name -> where to.
inline void WriteFiles(archive* writer, const ArchivedFiles& files,
                       const std::map<std::string, std::string>& links) {
  const auto add = [&](const std::string& name, unsigned type, const std::string& content) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, name.c_str());
    archive_entry_set_filetype(entry, type);
    archive_entry_set_perm(entry, 0644);
    if (type == AE_IFLNK) archive_entry_set_symlink(entry, content.c_str());
    archive_entry_set_size(entry, type == AE_IFLNK ? 0 : static_cast<la_int64_t>(content.size()));
    ASSERT_EQ(archive_write_header(writer, entry), ARCHIVE_OK);
    if (type == AE_IFREG) archive_write_data(writer, content.data(), content.size());
    archive_entry_free(entry);
  };
  for (const auto& [name, content] : files) add(name, AE_IFREG, content);
  for (const auto& [name, target] : links) add(name, AE_IFLNK, target);
  archive_write_close(writer);
  archive_write_free(writer);
}

inline void WriteTarGz(const std::string& path, const ArchivedFiles& files,
                       const std::map<std::string, std::string>& links = {}) {
  archive* writer = archive_write_new();
  archive_write_add_filter_gzip(writer);
  archive_write_set_format_ustar(writer);
  ASSERT_EQ(archive_write_open_filename(writer, path.c_str()), ARCHIVE_OK);
  WriteFiles(writer, files, links);
}

inline void WriteZip(const std::string& path, const ArchivedFiles& files) {
  archive* writer = archive_write_new();
  archive_write_set_format_zip(writer);
  ASSERT_EQ(archive_write_open_filename(writer, path.c_str()), ARCHIVE_OK);
  WriteFiles(writer, files, {});
}

// `content` as gzip packs it.
inline std::string Gzip(const std::string& content) {
  std::array<char, 1 << 16> buffer;
  size_t used = 0;
  archive* writer = archive_write_new();
  archive_write_add_filter_gzip(writer);
  archive_write_set_format_raw(writer);
  archive_write_set_bytes_in_last_block(writer, 1);
  EXPECT_EQ(archive_write_open_memory(writer, buffer.data(), buffer.size(), &used), ARCHIVE_OK);
  WriteFiles(writer, {{"data", content}}, {});
  return std::string(buffer.data(), used);
}

}  // namespace dyad::testing
