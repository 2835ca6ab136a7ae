// A command of dyadctl, and the flags that several of them share and what reads them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/arguments.h"
#include "client/batch.h"
#include "client/client.h"
#include "client/connection.h"
#include "client/console.h"
#include "client/json_line.h"

namespace dyad::client {

struct Command {
  absl::string_view name;
  absl::string_view usage;    // the words after the name
  absl::string_view summary;  // one line
  absl::string_view text;     // the rest of the help: what goes in, what comes out
  std::vector<Flag> flags;    // its own; --help and the shared groups are added below
  bool takes_batches;         // --input, --output, --concurrency

  // Returns the exit status; an error becomes status 1 and one line on the console's `err`.
  absl::StatusOr<int> (*run)(const Arguments& arguments, const Console& console);
};

// Every flag that the command takes.
std::vector<Flag> AllFlags(const Command& command);

// --server, --tls_*. Errors: as Connect.
ConnectionOptions ConnectionFrom(const Arguments& arguments);
// A client by --server, --tls_* and --timeout.
absl::StatusOr<Client> ClientFrom(const Arguments& arguments);
// --input, --output, --concurrency.
absl::StatusOr<BatchOptions> BatchFrom(const Arguments& arguments);
// Whether the command was asked for a batch: by --input.
bool IsBatch(const Arguments& arguments);

// The value of each of these flags that was given, under its name: what a batch line need not say
// again. Values that read as JSON numbers, lists or objects are those; others are strings.
Json FieldsFrom(const Arguments& arguments, const std::vector<absl::string_view>& names);
// `line` over `defaults`: the line wins, and a line with text or ids keeps only its own of the two.
Json WithDefaults(const Json& defaults, const Json& line);

// The texts of the command line: positional ones, and --text.
std::vector<std::string> Texts(const Arguments& arguments);

// "1,2,3" or "[1, 2, 3]" as a list. Errors: InvalidArgument naming the flag and the piece.
absl::StatusOr<Json> IdList(absl::string_view name, absl::string_view text);

}  // namespace dyad::client
