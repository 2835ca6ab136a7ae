// The handlers of the language and of the system.
#include "server/last_resort.h"

#include <unistd.h>

#include <csignal>
#include <ctime>
#include <exception>
#include <new>
#include <string_view>
#include <system_error>

#include "server/server_log.h"

namespace dyad {
namespace {

[[noreturn]] void EndOnException() {
  const std::exception_ptr thrown = std::current_exception();  // holds the text of what()
  std::string_view what = "an unknown exception";
  std::string_view reason;
  try {
    if (thrown != nullptr) std::rethrow_exception(thrown);
  } catch (const std::bad_alloc&) {
    what = "not enough memory";
  } catch (const std::system_error& error) {
    what = "the system refuses a thread, a file or memory: ";
    reason = error.what();
  } catch (const std::exception& exception) {
    what = exception.what();
  } catch (...) {
  }
  WriteLastLine(what, reason);
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
