// The handlers of the language and of the system.
#include "server/last_resort.h"

#include <unistd.h>

#include <csignal>
#include <ctime>
#include <exception>
#include <new>
#include <string>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "server/server_log.h"

namespace dyad {
namespace {

[[noreturn]] void EndOnException() {
  std::string what = "an unknown exception";
  try {
    if (const std::exception_ptr exception = std::current_exception()) {
      std::rethrow_exception(exception);
    }
  } catch (const std::bad_alloc&) {
    what = "not enough memory";
  } catch (const std::system_error& error) {
    what = absl::StrCat("the system refuses a thread, a file or memory: ", error.what());
  } catch (const std::exception& exception) {
    what = exception.what();
  } catch (...) {
  }
  WriteLastLine(what);
  _exit(1);
}

// The log's thread writes meanwhile.
void LetTheLogEnd(int) {
  const timespec time = {0, 200'000'000};
  nanosleep(&time, nullptr);
}

}  // namespace

void PrepareLastResort() {
  std::set_terminate(EndOnException);
  std::signal(SIGABRT, LetTheLogEnd);
}

}  // namespace dyad
