// What the threads of a block or of a warp do together.
#pragma once

// The line tells the machine whether all threads of a block wait at the same barrier.
#define __syncthreads() emulator::barrier(__LINE__)

void __syncwarp(unsigned mask = 0xffffffffu);
unsigned __ballot_sync(unsigned mask, int predicate);
inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, !predicate) == 0; }

namespace emulator {

void barrier(int line);

enum class Shuffle { to_lane, up, down, exclusive_or };
uint64_t shuffle(Shuffle kind, unsigned mask, uint64_t bits, int by, int width);

// A value of up to eight bytes travels as bits.
template <class T>
inline T shuffled(Shuffle kind, unsigned mask, T value, int by, int width) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "shuffles move 4 or 8 bytes");
  uint64_t bits = 0;
  __builtin_memcpy(&bits, &value, sizeof value);
  bits = shuffle(kind, mask, bits, by, width);
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}

}  // namespace emulator

template <class T>
inline T __shfl_sync(unsigned mask, T value, int lane, int width = 32) {
  return emulator::shuffled(emulator::Shuffle::to_lane, mask, value, lane, width);
}

template <class T>
inline T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32) {
  return emulator::shuffled(emulator::Shuffle::up, mask, value, int(by), width);
}

template <class T>
inline T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32) {
  return emulator::shuffled(emulator::Shuffle::down, mask, value, int(by), width);
}

template <class T>
inline T __shfl_xor_sync(unsigned mask, T value, int by, int width = 32) {
  return emulator::shuffled(emulator::Shuffle::exclusive_or, mask, value, by, width);
}
