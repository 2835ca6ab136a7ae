// Names of threads.
#pragma once

#include <pthread.h>

namespace dyad {

// Names the calling thread, as `top -H` and debuggers show it: at most 15 bytes.
inline void NameThread(const char* name) { pthread_setname_np(pthread_self(), name); }

}  // namespace dyad
