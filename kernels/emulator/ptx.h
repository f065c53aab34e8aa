// Twins of the PTX instructions that ptx.cuh wraps; all are in the namespace `emulator`.
//
//   conversions           to_tf32, to_f16, to_bf16, from_f16, from_bf16, pack_f16, pack_bf16
//   tensor cores          mma_tf32_16x8x8, mma_f16_16x8x8, mma_f16_16x8x16, mma_bf16_16x8x16
//   fragments from tiles  ldmatrix_x1, _x2, _x4, and ldmatrix_x1_trans, _x2_trans, _x4_trans
//   copies to shared      cp_async, cp_async_commit, cp_async_wait
//
// A wrapper and its twin take the same registers: 16-bit numbers go in pairs, the lower index in
// the lower half. Layouts are those of the PTX manual (9.7.14, warp-level matrix instructions).
#pragma once

namespace emulator {

// -- conversions; they round to the nearest, and halves to even except for tf32 -------------------

// cvt.rna.tf32.f32: 10 bits behind the point, halves away from 0
inline uint32_t to_tf32(float x) {
  uint32_t bits = same_bits<uint32_t>(x);
  bool finite = (bits >> 23 & 255) != 255;
  return finite ? (bits + 0x1000u) & 0xffffe000u : bits;
}


uint16_t to_f16(float x);
uint16_t to_bf16(float x);
float from_f16(uint16_t bits);
inline float from_bf16(uint16_t bits) { return same_bits<float>(uint32_t(bits) << 16); }

// cvt.rn.f16x2.f32 with the operands (high, low)
inline uint32_t pack_f16(float low, float high) {
  return to_f16(low) | uint32_t(to_f16(high)) << 16;
}

// cvt.rn.bf16x2.f32, likewise
inline uint32_t pack_bf16(float low, float high) {
  return to_bf16(low) | uint32_t(to_bf16(high)) << 16;
}

// -- tensor cores: d = a b + c for all lanes of a warp together -----------------------------------
// a is 16 x k (row major), b is k x 8 (column major), c and d are 16 x 8 in float32. The name ends
// in the sizes m x n x k; the arrays hold one lane's registers, and d may be c.

void mma_tf32_16x8x8(float d[4], const uint32_t a[4], const uint32_t b[2], const float c[4]);
void mma_f16_16x8x8(float d[4], const uint32_t a[2], const uint32_t b[1], const float c[4]);
void mma_f16_16x8x16(float d[4], const uint32_t a[4], const uint32_t b[2], const float c[4]);
void mma_bf16_16x8x16(float d[4], const uint32_t a[4], const uint32_t b[2], const float c[4]);

// -- ldmatrix: 8 x 8 matrices of 16-bit numbers from shared memory --------------------------------
// Lane 8 m + r gives the address of row r of matrix m; _x1 reads 8 addresses, _x2 16, _x4 32.

void ldmatrix_x1(uint32_t* registers, const void* row);
void ldmatrix_x2(uint32_t* registers, const void* row);
void ldmatrix_x4(uint32_t* registers, const void* row);
void ldmatrix_x1_trans(uint32_t* registers, const void* row);
void ldmatrix_x2_trans(uint32_t* registers, const void* row);
void ldmatrix_x4_trans(uint32_t* registers, const void* row);

// -- cp.async: copies that are there only after their wait ----------------------------------------

// Of `bytes` (4, 8 or 16) the first `from_source` are copied, the others become 0.
void cp_async(void* to, const void* from, int bytes, int from_source);
void cp_async_commit();
void cp_async_wait(int open_groups);  // until at most so many of the groups are under way

}  // namespace emulator
