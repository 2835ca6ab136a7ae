// The handlers of the language and of the system.
#include "server/last_resort.h"

#include <unistd.h>

#include <csignal>
#include <ctime>
#include <exception>
#include <new>
#include <system_error>

#include "server/server_log.h"

namespace dyad {
namespace {

[[noreturn]] void EndOnException() {
  try {
    const std::exception_ptr exception = std::current_exception();
    if (exception != nullptr) std::rethrow_exception(exception);
    WriteLastLine("an unknown exception");
  } catch (const std::bad_alloc&) {
    WriteLastLine("not enough memory");
  } catch (const std::system_error& error) {
    WriteLastLine("the system refuses a thread, a file or memory: ", error.what());
  } catch (const std::exception& exception) {
    WriteLastLine(exception.what());
  } catch (...) {
    WriteLastLine("an unknown exception");
  }
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
