// How check mode sees a kernel's accesses: g++ compiles it with -fsanitize=thread and more, which
// calls a function at every access and at every mistake. Usually those functions are libtsan's and
// libubsan's; here they are ours, and nothing has to be loaded in front of Python.
#pragma once

namespace emulator {

// -- what g++ writes down about a mistake; the layouts are those of GCC's libubsan ----------------

struct SourceLocation {
  const char* file;
  uint32_t line;
  uint32_t column;
};

struct TypeDescription {
  uint16_t kind;
  uint16_t info;
  char name[1];
};

struct MisalignedAccess {
  SourceLocation location;
  TypeDescription* type;
  uint8_t log_alignment;
  uint8_t kind;
};

struct IndexOutOfBounds {
  SourceLocation location;
  TypeDescription* array;
  TypeDescription* index;
};

}  // namespace emulator

#define EMULATOR_HOOK(name, bytes, kind)                                                       \
  void name(void* address) {                                                                   \
    emulator::check_access(address, bytes, emulator::Kind::kind, EMULATOR_CALLER);             \
  }

#define EMULATOR_HOOKS(bytes)                              \
  EMULATOR_HOOK(__tsan_read##bytes, bytes, read)           \
  EMULATOR_HOOK(__tsan_write##bytes, bytes, write)         \
  EMULATOR_HOOK(__tsan_volatile_read##bytes, bytes, read)  \
  EMULATOR_HOOK(__tsan_volatile_write##bytes, bytes, write)

#define EMULATOR_UNALIGNED_HOOKS(bytes)                               \
  EMULATOR_HOOK(__tsan_unaligned_read##bytes, bytes, read)            \
  EMULATOR_HOOK(__tsan_unaligned_write##bytes, bytes, write)          \
  EMULATOR_HOOK(__tsan_unaligned_volatile_read##bytes, bytes, read)   \
  EMULATOR_HOOK(__tsan_unaligned_volatile_write##bytes, bytes, write)

extern "C" {

EMULATOR_HOOKS(1)
EMULATOR_HOOKS(2)
EMULATOR_HOOKS(4)
EMULATOR_HOOKS(8)
EMULATOR_HOOKS(16)
EMULATOR_UNALIGNED_HOOKS(2)
EMULATOR_UNALIGNED_HOOKS(4)
EMULATOR_UNALIGNED_HOOKS(8)
EMULATOR_UNALIGNED_HOOKS(16)

void __tsan_read_range(void* address, size_t bytes) {
  emulator::check_access(address, bytes, emulator::Kind::read, EMULATOR_CALLER);
}

void __tsan_write_range(void* address, size_t bytes) {
  emulator::check_access(address, bytes, emulator::Kind::write, EMULATOR_CALLER);
}

void __tsan_init() {}

void __ubsan_handle_type_mismatch_v1(emulator::MisalignedAccess* access, uintptr_t address) {
  EMULATOR_FAIL(EMULATOR_CALLER, "misaligned access to %s at %#zx: not divisible by %d",
                access->type->name, size_t(address), 1 << access->log_alignment);
}

void __ubsan_handle_out_of_bounds(emulator::IndexOutOfBounds* access, uintptr_t index) {
  EMULATOR_FAIL(EMULATOR_CALLER, "index %zd out of bounds for %s", ssize_t(index),
                access->array->name);
}

void __ubsan_handle_divrem_overflow(void*, uintptr_t, uintptr_t divisor) {
  EMULATOR_FAIL(EMULATOR_CALLER, "division by %zd", ssize_t(divisor));
}

void __ubsan_handle_add_overflow(void*, uintptr_t, uintptr_t) {
  EMULATOR_FAIL(EMULATOR_CALLER, "integer overflow in an addition");
}

void __ubsan_handle_sub_overflow(void*, uintptr_t, uintptr_t) {
  EMULATOR_FAIL(EMULATOR_CALLER, "integer overflow in a subtraction");
}

void __ubsan_handle_mul_overflow(void*, uintptr_t, uintptr_t) {
  EMULATOR_FAIL(EMULATOR_CALLER, "integer overflow in a multiplication");
}

void __ubsan_handle_negate_overflow(void*, uintptr_t) {
  EMULATOR_FAIL(EMULATOR_CALLER, "integer overflow in a negation");
}

}  // extern "C"
