// CUDA's small vectors, aligned as on a GPU.
#pragma once

struct uint3 {
  unsigned x, y, z;
};

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

struct float3 {
  float x, y, z;
};

inline float3 make_float3(float x, float y, float z) { return {x, y, z}; }

#define EMULATOR_VECTOR_2(name, type)         \
  struct alignas(2 * sizeof(type)) name {     \
    type x, y;                                \
  };                                          \
  inline name make_##name(type x, type y) { return {x, y}; }

#define EMULATOR_VECTOR_4(name, type)         \
  struct alignas(4 * sizeof(type)) name {     \
    type x, y, z, w;                          \
  };                                          \
  inline name make_##name(type x, type y, type z, type w) { return {x, y, z, w}; }

EMULATOR_VECTOR_2(float2, float)
EMULATOR_VECTOR_2(int2, int)
EMULATOR_VECTOR_2(uint2, unsigned)
EMULATOR_VECTOR_2(double2, double)
EMULATOR_VECTOR_2(ushort2, unsigned short)
EMULATOR_VECTOR_4(float4, float)
EMULATOR_VECTOR_4(int4, int)
EMULATOR_VECTOR_4(uint4, unsigned)
EMULATOR_VECTOR_4(ushort4, unsigned short)
EMULATOR_VECTOR_4(uchar4, unsigned char)
