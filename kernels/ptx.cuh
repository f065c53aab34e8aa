// The only inline PTX: what CUDA C++ has no words for. Each wrapper has its twin in the emulator.
//
// A matrix product of a warp, d = a b + c, has its operands spread over the 32 lanes. With
// g = lane / 4 and t = lane % 4, and a word that is one tf32 or two f16 that are neighbours in k:
//   a (16, 8 words)   [0] at (g, t), [1] at (g + 8, t), [2] at (g, t + 4), [3] at (g + 8, t + 4)
//   b (8 words, 8)    [0] at (t, g), [1] at (t + 4, g)
//   c, d (16, 8)      [0] at (g, 2 t), [1] at (g, 2 t + 1), [2] and [3] there in row g + 8
// Tensor cores ignore the lower 13 bits of a tf32, so a float may stand for one; they add with the
// sum cut off, not rounded.
//
// pack_f16(low, high) is two numbers rounded to f16 in a word; `low` comes first in memory.
//
// ldmatrix_x4(r, p) loads four matrices of 8 rows of 16 bytes from shared memory: lane 8 i + k
// names row k of matrix i, and r[i] becomes word (g, t) of it: just what a and b above want.
//
// cp_async_16(to, from, ok) copies 16 bytes from global to shared memory without waiting, zeros
// instead if not ok; both addresses are multiples of 16. What was begun before a cp_async_commit()
// makes a group; cp_async_wait(n) waits until no more than the last n groups are under way. What
// was copied is then seen by its thread, and by others behind the next barrier.
//
// A file that needs an architecture says so in front of the include, `#define NEED_SM80`; what an
// architecture does not have is not defined for it.

typedef unsigned int u32;

#ifdef CUDA_EMUL

using emulator::cp_async_commit;
using emulator::cp_async_wait;
using emulator::ldmatrix_x4;
using emulator::mma_f16_16x8x16;
using emulator::mma_tf32_16x8x8;
using emulator::pack_f16;

// not a function, so that the emulator sees whose copy it is
#define cp_async_16(to, from, ok) emulator::cp_async(to, from, 16, (ok) ? 16 : 0)

#else

#if __CUDA_ARCH__ < 750
#error "oneiro's kernels for tensor cores need compute capability 7.5 or more"
#elif defined(NEED_SM80) && __CUDA_ARCH__ < 800
#error "this kernel needs compute capability 8.0 or more, for tf32 and cp.async"
#endif

__device__ __forceinline__ u32 shared_address(const void* p) {
  return static_cast<u32>(__cvta_generic_to_shared(p));
}

__device__ __forceinline__ void ldmatrix_x4(u32* r, const void* p) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(p))
               : "memory");
}

#if __CUDA_ARCH__ >= 800

__device__ __forceinline__ u32 pack_f16(float low, float high) {
  u32 r;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
  return r;
}

__device__ __forceinline__ void mma_tf32_16x8x8(
    float* d, const u32* a, const u32* b, const float* c) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%10, %11, %12, %13};"
      : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]),
        "f"(c[0]), "f"(c[1]), "f"(c[2]), "f"(c[3]));
}

__device__ __forceinline__ void mma_f16_16x8x16(
    float* d, const u32* a, const u32* b, const float* c) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%10, %11, %12, %13};"
      : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]),
        "f"(c[0]), "f"(c[1]), "f"(c[2]), "f"(c[3]));
}

// .cg: past L1, which is shared memory's other half
__device__ __forceinline__ void cp_async_16(void* to, const void* from, bool ok) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
               :: "r"(shared_address(to)), "l"(from), "r"(ok ? 16 : 0) : "memory");
}

__device__ __forceinline__ void cp_async_commit() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}

#define cp_async_wait(n) asm volatile("cp.async.wait_group %0;" :: "n"(n) : "memory")

#else  // Turing: f16 alone, and half as much of it at a time

__device__ __forceinline__ u32 pack_f16(float low, float high) {
  u32 r;
  asm("{ .reg .f16 low, high;\n"
      "  cvt.rn.f16.f32 low, %1;\n"
      "  cvt.rn.f16.f32 high, %2;\n"
      "  mov.b32 %0, {low, high}; }"
      : "=r"(r) : "f"(low), "f"(high));
  return r;
}

__device__ __forceinline__ void mma_f16_16x8x8(
    float* d, const u32* a, const u32* b, const float* c) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, "
      "{%7, %8, %9, %10};"
      : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(b[0]), "f"(c[0]), "f"(c[1]), "f"(c[2]), "f"(c[3]));
}

__device__ __forceinline__ void mma_f16_16x8x16(
    float* d, const u32* a, const u32* b, const float* c) {
  mma_f16_16x8x8(d, a, b, c);
  mma_f16_16x8x8(d, a + 2, b + 1, d);
}

#endif
#endif
