// Tensor cores and ldmatrix: the work of a whole warp on fragments, registers of its 32 lanes.
//
// Lane l has the group g = l / 4 and the place t = l % 4 in it. Fragments are gathered into
// matrices by the layouts of the PTX manual, so a kernel that has them wrong gets wrong numbers.
// Products are exact as in hardware; sums are float32, rounded to the nearest, where hardware
// truncates and chooses its own order.
#pragma once

namespace emulator {

// -- 16-bit numbers -------------------------------------------------------------------------------

float from_f16(uint16_t bits) {
  uint32_t sign = uint32_t(bits & 0x8000) << 16;
  uint32_t exponent = bits >> 10 & 31;
  uint32_t fraction = bits & 0x3ff;
  if (exponent == 0) {  // 0, or a number below the normal ones: a multiple of 2^-24
    float magnitude = float(fraction) * 0x1p-24f;
    return same_bits<float>(sign | same_bits<uint32_t>(magnitude));
  }
  exponent = exponent == 31 ? 255 : exponent + 127 - 15;
  return same_bits<float>(sign | exponent << 23 | fraction << 13);
}

// The bits above the lowest `count`, rounded to the nearest, halves to even.
static uint32_t rounded(uint32_t bits, int count) {
  uint32_t odd = bits >> count & 1;
  return (bits + (1u << (count - 1)) - 1 + odd) >> count;
}

uint16_t to_f16(float x) {
  uint32_t bits = same_bits<uint32_t>(x);
  uint16_t sign = bits >> 16 & 0x8000;
  bits &= 0x7fffffff;
  if (bits > 0x7f800000) return 0x7fff;                 // no number, as cvt writes it
  if (bits >= 0x477ff000) return sign | 0x7c00;         // rounds to 2^16 or more: infinite
  if (bits < 0x38800000) {                              // below 2^-14: a multiple of 2^-24
    return sign | uint16_t(rintf(fabsf(x) * 0x1p24f));
  }
  return sign | uint16_t(rounded(bits - (uint32_t(127 - 15) << 23), 13));
}

uint16_t to_bf16(float x) {
  uint32_t bits = same_bits<uint32_t>(x);
  return x != x ? 0x7fff : uint16_t(rounded(bits, 16));
}

// -- fragments ------------------------------------------------------------------------------------

// How a format lies in registers: `packed` numbers in each.
struct Tf32 {
  static constexpr int packed = 1;
  static float read(uint32_t bits, int) { return same_bits<float>(bits & 0xffffe000u); }
};

struct F16 {
  static constexpr int packed = 2;
  static float read(uint32_t bits, int half) { return from_f16(uint16_t(bits >> 16 * half)); }
};

struct Bf16 {
  static constexpr int packed = 2;
  static float read(uint32_t bits, int half) { return from_bf16(uint16_t(bits >> 16 * half)); }
};

struct Multiplication {  // one lane's registers
  float* d;
  const uint32_t* a;
  const uint32_t* b;
  const float* c;
};

using Row = float __attribute__((vector_size(8 * sizeof(float))));  // g++ adds them at once

// Columns of a, and rows of b, come in chunks of 4 registers' width: lane place t has number t of
// each chunk. a alternates between the rows g and g + 8 before it goes on to the next chunk.
template <class Format, int k>
static void multiply(void* const* data) {
  constexpr int chunk = 4 * Format::packed;
  float a[16][k];
  Row b[k];
  Row sum[16];
  for (int lane = 0; lane < warp_width; lane++) {
    const Multiplication& own = *static_cast<const Multiplication*>(data[lane]);
    int g = lane / 4;
    int t = lane % 4;
    for (int part = 0; part < k / chunk; part++) {
      for (int i = 0; i < Format::packed; i++) {
        int at = part * chunk + t * Format::packed + i;
        a[g][at] = Format::read(own.a[2 * part], i);
        a[g + 8][at] = Format::read(own.a[2 * part + 1], i);
        b[at][g] = Format::read(own.b[part], i);
      }
    }
    for (int i = 0; i < 4; i++) sum[g + 8 * (i / 2)][2 * t + i % 2] = own.c[i];
  }
  for (int row = 0; row < 16; row++) {
    for (int at = 0; at < k; at++) sum[row] += a[row][at] * b[at];
  }
  for (int lane = 0; lane < warp_width; lane++) {
    const Multiplication& own = *static_cast<const Multiplication*>(data[lane]);
    int g = lane / 4;
    int t = lane % 4;
    for (int i = 0; i < 4; i++) own.d[i] = sum[g + 8 * (i / 2)][2 * t + i % 2];
  }
}

#define EMULATOR_MMA(name, Format, k, a_count, b_count)                                           \
  void name(float d[4], const uint32_t a[a_count], const uint32_t b[b_count], const float c[4]) { \
    Multiplication own{d, a, b, c};                                                               \
    all_together(#name, &own, EMULATOR_CALLER, multiply<Format, k>);                              \
  }

EMULATOR_MMA(mma_tf32_16x8x8, Tf32, 8, 4, 2)
EMULATOR_MMA(mma_f16_16x8x8, F16, 8, 2, 1)
EMULATOR_MMA(mma_f16_16x8x16, F16, 16, 4, 2)
EMULATOR_MMA(mma_bf16_16x8x16, Bf16, 16, 4, 2)

// -- ldmatrix -------------------------------------------------------------------------------------

struct MatrixRow {  // what one lane brings, and where its registers are
  const char* row;
  uint32_t* registers;
};

template <int count, bool transposed>
static void load_matrices(void* const* data) {
  for (int lane = 0; lane < warp_width; lane++) {
    int g = lane / 4;
    int t = lane % 4;
    for (int matrix = 0; matrix < count; matrix++) {
      auto element = [&](int row, int column) {
        uint16_t bits;
        memcpy(&bits, static_cast<MatrixRow*>(data[8 * matrix + row])->row + 2 * column, 2);
        return uint32_t(bits);
      };
      uint32_t low = transposed ? element(2 * t, g) : element(g, 2 * t);
      uint32_t high = transposed ? element(2 * t + 1, g) : element(g, 2 * t + 1);
      static_cast<MatrixRow*>(data[lane])->registers[matrix] = low | high << 16;
    }
  }
}

template <int count, bool transposed>
static void ldmatrix(const char* name, uint32_t* registers, const void* row, Place place) {
  constexpr int row_bytes = 16;
  if (machine.current->lane < 8 * count) {  // the rows of other lanes are not read
    if (uintptr_t(row) % row_bytes) EMULATOR_FAIL(place, "misaligned row for %s", name);
    if (machine.checking) {
      check_access(row, row_bytes, Kind::read, place);
      if (!is_shared(row)) EMULATOR_FAIL(place, "%s from memory that is not shared", name);
    }
  }
  MatrixRow own{static_cast<const char*>(row), registers};
  all_together(name, &own, place, load_matrices<count, transposed>);
}

#define EMULATOR_LDMATRIX(name, count, transposed)                                    \
  void name(uint32_t* registers, const void* row) {                                   \
    ldmatrix<count, transposed>(#name, registers, row, EMULATOR_CALLER);              \
  }

EMULATOR_LDMATRIX(ldmatrix_x1, 1, false)
EMULATOR_LDMATRIX(ldmatrix_x2, 2, false)
EMULATOR_LDMATRIX(ldmatrix_x4, 4, false)
EMULATOR_LDMATRIX(ldmatrix_x1_trans, 1, true)
EMULATOR_LDMATRIX(ldmatrix_x2_trans, 2, true)
EMULATOR_LDMATRIX(ldmatrix_x4_trans, 4, true)

}  // namespace emulator
