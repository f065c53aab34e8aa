// Atomics and fences.
#pragma once

namespace emulator {

template <class T, class Change>
static T atomically(T* place, Place caller, Change change) {
  if (machine.checking) {
    check_access(place, sizeof(T), Kind::atomic, caller);
    if (is_global(place)) note_atomic(place);
  }
  T old = *place;
  *place = change(old);
  return old;
}

}  // namespace emulator

#define EMULATOR_ATOMIC(type, name, changed)                                                 \
  type name(type* place, type value) {                                                       \
    return emulator::atomically(place, EMULATOR_CALLER, [=](type old) { return changed; });  \
  }

EMULATOR_ATOMIC(int, atomicAdd, old + value)
EMULATOR_ATOMIC(unsigned, atomicAdd, old + value)
EMULATOR_ATOMIC(unsigned long long, atomicAdd, old + value)
EMULATOR_ATOMIC(float, atomicAdd, old + value)
EMULATOR_ATOMIC(double, atomicAdd, old + value)
EMULATOR_ATOMIC(int, atomicMin, min(old, value))
EMULATOR_ATOMIC(unsigned, atomicMin, min(old, value))
EMULATOR_ATOMIC(int, atomicMax, max(old, value))
EMULATOR_ATOMIC(unsigned, atomicMax, max(old, value))
EMULATOR_ATOMIC(int, atomicExch, (void(old), value))
EMULATOR_ATOMIC(unsigned, atomicExch, (void(old), value))
EMULATOR_ATOMIC(unsigned, atomicInc, old >= value ? 0 : old + 1)

#define EMULATOR_COMPARE_AND_SWAP(type)                                              \
  type atomicCAS(type* place, type expected, type value) {                           \
    return emulator::atomically(place, EMULATOR_CALLER, [=](type old) {              \
      return old == expected ? value : old;                                          \
    });                                                                              \
  }

EMULATOR_COMPARE_AND_SWAP(int)
EMULATOR_COMPARE_AND_SWAP(unsigned)

void __threadfence() {
  if (emulator::machine.checking) emulator::note_fence();
}

void __threadfence_block() {}
