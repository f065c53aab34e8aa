// d = a b^T on tensor cores, of 16-bit numbers or of tf32.

#define LANE (threadIdx.x % 32)
#define GROUP (LANE / 4)
#define PLACE (LANE % 4)

__device__ __forceinline__ void store(float* d, const float* c, int row_length) {
  for (int i = 0; i < 4; i++) {
    d[(GROUP + 8 * (i / 2)) * row_length + 2 * PLACE + i % 2] = c[i];
  }
}

// One warp: a is (16, 16), b is (8, 16), d is (16, 8); fragments by ldmatrix.
#define F16_IN_TWO 1
#define BF16 2
extern "C" __global__ void half_precision(
    float* d, const unsigned short* a, const unsigned short* b, int format) {
  __shared__ __align__(16) unsigned short tile_a[16][24];  // 8 more, against bank conflicts
  __shared__ __align__(16) unsigned short tile_b[8][24];
  for (int i = LANE; i < 256; i += 32) tile_a[i / 16][i % 16] = a[i];
  for (int i = LANE; i < 128; i += 32) tile_b[i / 16][i % 16] = b[i];
  __syncwarp();
  unsigned fragment_a[4];
  unsigned fragment_b[2];
  float c[4] = {0.0f, 0.0f, 0.0f, 0.0f};
  emulator::ldmatrix_x4(fragment_a, &tile_a[LANE % 16][LANE / 16 * 8]);
  emulator::ldmatrix_x2(fragment_b, &tile_b[LANE % 8][LANE / 8 % 2 * 8]);
  if (format == BF16) {
    emulator::mma_bf16_16x8x16(c, fragment_a, fragment_b, c);
  } else if (format == F16_IN_TWO) {
    emulator::mma_f16_16x8x8(c, fragment_a, fragment_b, c);
    emulator::mma_f16_16x8x8(c, fragment_a + 2, fragment_b + 1, c);
  } else {
    emulator::mma_f16_16x8x16(c, fragment_a, fragment_b, c);
  }
  store(d, c, 8);
}

// Four warps: 16 rows by 32 columns of d, k in strips that are on their way while others are
// multiplied. a is (rows, k), b is (columns, k).
// Planted bugs: MISSING_WAIT, MISSING_BARRIER, and EARLY_COPY into a strip that others still read.
#define MISSING_WAIT 1
#define MISSING_BARRIER 2
#define EARLY_COPY 3

#define STAGES 3
#define STRIP 8
#define ROW 12  // floats from row to row in a strip: no bank conflicts, and 16 bytes stay together

extern "C" __global__ void __launch_bounds__(128) tf32(
    float* d, const float* a, const float* b, int columns, int k, int bug) {
  extern __shared__ __align__(16) float strips[];  // STAGES x (16 rows of a, 32 rows of b) x ROW
  int first_row = blockIdx.y * 16;
  int first_column = blockIdx.x * 32;
  int warp = threadIdx.x / 32;

  auto fetch = [&](int strip) {
    float* stage = strips + strip % STAGES * 48 * ROW;
    if (threadIdx.x < 96) {  // 48 rows of 8 floats, four a thread
      int row = threadIdx.x / 2;
      int column = threadIdx.x % 2 * 4;
      const float* from = row < 16 ? a + (first_row + row) * k : b + (first_column + row - 16) * k;
      bool inside = strip * STRIP + column < k;
      emulator::cp_async(
          stage + row * ROW + column, inside ? from + strip * STRIP + column : a, 16,
          inside ? 16 : 0);
    }
    emulator::cp_async_commit();
  };

  int count = (k + STRIP - 1) / STRIP;
  for (int strip = 0; strip < STAGES - 1; strip++) fetch(strip);
  float c[4] = {0.0f, 0.0f, 0.0f, 0.0f};
  for (int strip = 0; strip < count; strip++) {
    if (bug != MISSING_WAIT) emulator::cp_async_wait(STAGES - 2);
    if (bug == EARLY_COPY) fetch(strip + STAGES - 1);
    if (bug != MISSING_BARRIER) __syncthreads();
    if (bug != EARLY_COPY) fetch(strip + STAGES - 1);
    const float* tile_a = strips + strip % STAGES * 48 * ROW;
    const float* tile_b = tile_a + (16 + 8 * warp) * ROW;
    unsigned fragment_a[4];
    unsigned fragment_b[2];
    for (int i = 0; i < 4; i++) {
      fragment_a[i] = emulator::to_tf32(tile_a[(GROUP + i % 2 * 8) * ROW + PLACE + i / 2 * 4]);
    }
    for (int i = 0; i < 2; i++) {
      fragment_b[i] = emulator::to_tf32(tile_b[GROUP * ROW + PLACE + i * 4]);
    }
    emulator::mma_tf32_16x8x8(c, fragment_a, fragment_b, c);
  }
  store(d + first_row * columns + first_column + 8 * warp, c, columns);
}
