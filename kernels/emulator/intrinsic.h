// CUDA's functions on numbers and on single places of memory. Those of C's math.h (expf, fmaxf,
// rintf, erff, isnan ...) mean the same on both sides.
#pragma once

// -- integers -------------------------------------------------------------------------------------

#define EMULATOR_MIN_MAX(type)                                    \
  inline type min(type a, type b) { return b < a ? b : a; }       \
  inline type max(type a, type b) { return a < b ? b : a; }
EMULATOR_MIN_MAX(int)
EMULATOR_MIN_MAX(unsigned)
EMULATOR_MIN_MAX(long)
EMULATOR_MIN_MAX(unsigned long)
EMULATOR_MIN_MAX(long long)
EMULATOR_MIN_MAX(unsigned long long)

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
inline int __mulhi(int a, int b) { return int((long long)a * b >> 32); }
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned((uint64_t)a * b >> 32); }

// -- floats; one operand that is no number yields to the other ------------------------------------

inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float __powf(float x, float y) { return powf(x, y); }
inline float __saturatef(float x) { return fminf(fmaxf(x, 0.0f), 1.0f); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fsqrt_rn(float x) { return sqrtf(x); }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }

// -- bits -----------------------------------------------------------------------------------------

namespace emulator {
template <class To, class From>
inline To same_bits(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  __builtin_memcpy(&to, &from, sizeof to);
  return to;
}
}

inline int __float_as_int(float x) { return emulator::same_bits<int>(x); }
inline float __int_as_float(int x) { return emulator::same_bits<float>(x); }
inline unsigned __float_as_uint(float x) { return emulator::same_bits<unsigned>(x); }
inline float __uint_as_float(unsigned x) { return emulator::same_bits<float>(x); }

// -- output ---------------------------------------------------------------------------------------

extern "C" int printf(const char* format, ...);

// -- memory ---------------------------------------------------------------------------------------

template <class T>
inline T __ldg(const T* place) { return *place; }
template <class T>
inline T __ldcs(const T* place) { return *place; }
template <class T>
inline void __stcs(T* place, T value) { *place = value; }

void __threadfence();
void __threadfence_block();

// Each returns what stood there before.
int atomicAdd(int* place, int value);
unsigned atomicAdd(unsigned* place, unsigned value);
unsigned long long atomicAdd(unsigned long long* place, unsigned long long value);
float atomicAdd(float* place, float value);
double atomicAdd(double* place, double value);
int atomicMin(int* place, int value);
unsigned atomicMin(unsigned* place, unsigned value);
int atomicMax(int* place, int value);
unsigned atomicMax(unsigned* place, unsigned value);
int atomicExch(int* place, int value);
unsigned atomicExch(unsigned* place, unsigned value);
int atomicCAS(int* place, int expected, int value);
unsigned atomicCAS(unsigned* place, unsigned expected, unsigned value);
unsigned atomicInc(unsigned* place, unsigned largest);  // 0 comes after `largest`
