// How a launch gets into a kernel: its C type is read by the compiler, not by us.
#pragma once

namespace emulator {

struct Launch;  // see machine.h
int launch(void (*kernel)(const uint64_t* slots), Launch* request);

// What module.py is told of a parameter: "f4" for a float, "*f4" for a float*, "?" for a struct.
template <class T> struct Code { static constexpr const char* text = "?"; };
template <> struct Code<void> { static constexpr const char* text = "void"; };
template <> struct Code<bool> { static constexpr const char* text = "b1"; };
template <> struct Code<char> { static constexpr const char* text = "i1"; };
template <> struct Code<signed char> { static constexpr const char* text = "i1"; };
template <> struct Code<unsigned char> { static constexpr const char* text = "u1"; };
template <> struct Code<short> { static constexpr const char* text = "i2"; };
template <> struct Code<unsigned short> { static constexpr const char* text = "u2"; };
template <> struct Code<int> { static constexpr const char* text = "i4"; };
template <> struct Code<unsigned> { static constexpr const char* text = "u4"; };
template <> struct Code<long> { static constexpr const char* text = "i8"; };
template <> struct Code<unsigned long> { static constexpr const char* text = "u8"; };
template <> struct Code<long long> { static constexpr const char* text = "i8"; };
template <> struct Code<unsigned long long> { static constexpr const char* text = "u8"; };
template <> struct Code<float> { static constexpr const char* text = "f4"; };
template <> struct Code<double> { static constexpr const char* text = "f8"; };

template <class T> struct Parameter {
  static constexpr const char* prefix = "";
  static constexpr const char* code = Code<T>::text;
};
template <class T> struct Parameter<T*> {
  static constexpr const char* prefix = "*";
  static constexpr const char* code = Code<T>::text;
};
template <class T> struct Parameter<const T*> {
  static constexpr const char* prefix = "const*";
  static constexpr const char* code = Code<T>::text;
};

inline void append(char*& end, const char* text) {
  while (*text) *end++ = *text++;
  *end = 0;
}

// "*f4 const*f4 i4" for a kernel(float*, const float*, int)
template <class... Parameters>
const char* signature(void (*)(Parameters...)) {
  static char text[8 * (sizeof...(Parameters) + 1) * 2];
  char* end = text;
  *end = 0;
  ((append(end, Parameter<Parameters>::prefix), append(end, Parameter<Parameters>::code),
    append(end, " ")), ...);
  return text;
}

constexpr int most_parameters = 256;

// An argument stands at the beginning of a slot of eight bytes.
template <class T>
inline T next(const uint64_t*& slot) {
  T value;
  __builtin_memcpy(&value, slot++, sizeof value);
  return value;
}

struct Call {  // a constructor, because only in braces are arguments taken from left to right
  template <class... Parameters>
  Call(void (*kernel)(Parameters...), Parameters... arguments) { kernel(arguments...); }
};

template <auto kernel>
struct Entry;

template <class... Parameters, void (*kernel)(Parameters...)>
struct Entry<kernel> {
  static_assert(sizeof...(Parameters) <= most_parameters, "too many parameters");
  static void call(const uint64_t* slot) { Call{kernel, next<Parameters>(slot)...}; }
};

}  // namespace emulator

// entry.py writes one of these behind the text for every kernel in it.
#define EMULATOR_EXPORT extern "C" __attribute__((visibility("default")))

#define EMULATOR_ENTRY(kernel, largest_block)                               \
  EMULATOR_EXPORT const char* emulator_signature_##kernel() {               \
    return emulator::signature(&kernel);                                    \
  }                                                                         \
  EMULATOR_EXPORT int emulator_largest_block_##kernel() {                   \
    return largest_block;                                                   \
  }                                                                         \
  EMULATOR_EXPORT int emulator_launch_##kernel(emulator::Launch* request) { \
    return emulator::launch(&emulator::Entry<&kernel>::call, request);      \
  }

// And one of these: the parameters of all kernels as they stand in the text.
#define EMULATOR_KERNELS(json) \
  EMULATOR_EXPORT const char* emulator_kernels() { return json; }
