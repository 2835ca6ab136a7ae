// What ThreadSanitizer is told: threads of a block are fibers, and only barriers, collectives and
// the ends of copies order them. Without it these are nothing.
#pragma once

#ifdef DYAD_TELLS_THREAD_SANITIZER
extern "C" {
void* __tsan_get_current_fiber();
void* __tsan_create_fiber(unsigned flags);
void __tsan_switch_to_fiber(void* fiber, unsigned flags);
void __tsan_acquire(void* address);
void __tsan_release(void* address);
void __tsan_write_range(void* address, unsigned long bytes);
}
#endif

namespace dyad::cuda_on_cpu::thread_sanitizer {

#ifdef DYAD_TELLS_THREAD_SANITIZER
inline void* CurrentFiber() { return __tsan_get_current_fiber(); }
inline void* CreateFiber() { return __tsan_create_fiber(0); }
// Switching by itself orders nothing.
inline void SwitchTo(void* fiber) { __tsan_switch_to_fiber(fiber, 1); }
inline void Acquire(void* address) { __tsan_acquire(address); }
inline void Release(void* address) { __tsan_release(address); }
inline void Written(void* address, unsigned long bytes) { __tsan_write_range(address, bytes); }
#else
inline void* CurrentFiber() { return nullptr; }
inline void* CreateFiber() { return nullptr; }
inline void SwitchTo(void*) {}
inline void Acquire(void*) {}
inline void Release(void*) {}
inline void Written(void*, unsigned long) {}
#endif

}  // namespace dyad::cuda_on_cpu::thread_sanitizer
