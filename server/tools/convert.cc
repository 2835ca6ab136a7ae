// Finds the command, has CLI11 read its flags, runs it.
#include "server/tools/convert.h"

#include <memory>
#include <string_view>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "kernels/devices.h"
#include "server/base/command_line.h"
#include "server/base/message_text.h"
#include "server/base/nearest.h"
#include "server/base/status_macros.h"
#include "server/model/load_model.h"
#include "server/tools/densify.h"
#include "server/tools/inspect.h"

namespace dyad {
namespace {

struct Arguments {
  std::string folder, out;
  std::string dtype = "float32";
  bool json = false;
};

struct ConvertCommand {
  std::string_view name, summary;
  void (*add_flags)(CLI::App& app, Arguments& arguments);
  absl::Status (*run)(const Arguments& arguments, const Console& console);
};

std::unique_ptr<kernels::Device> ConvertDevice() { return kernels::MakeCpuDevice({}); }

absl::Status Inspect(const Arguments& arguments, const Console& console) {
  const std::unique_ptr<kernels::Device> device = ConvertDevice();
  ASSIGN_OR_RETURN(const ModelInfo info, InspectModel(arguments.folder, {}, *device));
  console.out << (arguments.json ? InspectionJson(info) : InspectionTable(info));
  return absl::OkStatus();
}

absl::Status Densify(const Arguments& arguments, const Console& console) {
  const DenseType type = arguments.dtype == "stored" ? DenseType::kStored : DenseType::kFloat32;
  ASSIGN_OR_RETURN(const DensifyResult done,
                   DensifyFolder(arguments.folder, arguments.out,
                                 {.type = type, .device = ConvertDevice}, console));
  console.out << absl::StrFormat("%s: %d tensors, %.1f MiB of weights in %d files\n", arguments.out,
                                 done.tensors, static_cast<double>(done.bytes) / (1 << 20),
                                 done.weight_files);
  return absl::OkStatus();
}

const std::vector<ConvertCommand>& ConvertCommands() {
  static const auto& commands = *new std::vector<ConvertCommand>{
      {"inspect", "What the linear layers of a checkpoint are and cost",
       [](CLI::App& app, Arguments& arguments) {
         app.add_option("FOLDER", arguments.folder, "Folder of the checkpoint")->required();
         app.add_flag("--json", arguments.json, "One JSON object in place of a table");
       },
       &Inspect},
      {"densify", "Writes the same network with dense layers, for programs that know no others",
       [](CLI::App& app, Arguments& arguments) {
         app.add_option("IN", arguments.folder, "Folder of the checkpoint")->required();
         app.add_option("OUT", arguments.out, "Folder to write; it must not be there")->required();
         app.add_option("--dtype", arguments.dtype,
                        "Types of the numbers: float32, or stored, which rounds products")
             ->capture_default_str()
             ->check([](const std::string& dtype) {
               if (dtype == "float32" || dtype == "stored") return std::string();
               return Text("must be float32 or stored, not ", Quoted(dtype));
             });
       },
       &Densify}};
  return commands;
}

// What the command line lacks or has too much of.
std::string ConvertFault(const CLI::App& app, const CLI::ParseError& error) {
  const std::vector<std::string> rest = app.remaining();
  if (rest.empty()) return error.what();
  if (!rest.front().starts_with("-")) {
    return Text("takes no ", Quoted(rest.front()), " beside the folders that it has");
  }
  std::vector<std::string> flags;
  for (const CLI::Option* option : app.get_options()) flags.push_back(option->get_name());
  const std::string flag = rest.front().substr(0, rest.front().find('='));
  const std::string nearest = NearestName(flag, flags);
  return Text("unknown flag ", Quoted(flag), nearest.empty() ? "" : "; the nearest is ", nearest);
}

absl::StatusOr<int> ParseAndConvert(const ConvertCommand& command,
                                    std::span<const std::string> words, const Console& console) {
  CLI::App app(Text(command.summary, "."), Text("dyad-convert ", command.name));
  app.set_help_flag("-h,--help", "Print this");
  Arguments arguments;
  command.add_flags(app, arguments);
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));  // the last word first
  } catch (const CLI::CallForHelp&) {
    console.out << app.help();
    return 0;
  } catch (const CLI::ParseError& error) {
    return UsageError(ConvertFault(app, error));
  }
  RETURN_IF_ERROR(command.run(arguments, console));
  return 0;
}

}  // namespace

int RunConvert(std::span<const std::string> words, const Console& console) {
  Program program = {.name = "dyad-convert",
                     .purpose = "checkpoints with structured layers",
                     .version = DYAD_VERSION,
                     .commands = {}};
  for (const ConvertCommand& command : ConvertCommands()) {
    program.commands.push_back({std::string(command.name), std::string(command.summary),
                                [&](std::span<const std::string> rest) {
                                  return ParseAndConvert(command, rest, console);
                                }});
  }
  return RunProgram(program, words, console);
}

}  // namespace dyad
