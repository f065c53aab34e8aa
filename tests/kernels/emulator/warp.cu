// What warps do together.

extern "C" __global__ void shuffles(int* y, const int* x, int by, int width) {
  // x is (32,), y is (4, 32)
  int lane = threadIdx.x;
  y[lane] = __shfl_sync(0xffffffffu, x[lane], by, width);
  y[32 + lane] = __shfl_up_sync(0xffffffffu, x[lane], by, width);
  y[64 + lane] = __shfl_down_sync(0xffffffffu, x[lane], by, width);
  y[96 + lane] = __shfl_xor_sync(0xffffffffu, x[lane], by, width);
}

extern "C" __global__ void votes(unsigned* y, const int* x) {
  // x is (32,), y is (3, 32)
  int lane = threadIdx.x;
  y[lane] = __ballot_sync(0xffffffffu, x[lane] > 0);
  y[32 + lane] = __any_sync(0xffffffffu, x[lane] > 0);
  y[64 + lane] = __all_sync(0xffffffffu, x[lane] > 0);
}

// Both halves of a warp at once, in operations of their own.
extern "C" __global__ void halves(int* y, const int* x) {
  int lane = threadIdx.x;
  if (lane < 16) {
    y[lane] = __shfl_xor_sync(0x0000ffffu, x[lane], 1);
  } else {
    y[lane] = __popc(__ballot_sync(0xffff0000u, x[lane] > 0));
  }
}

extern "C" __global__ void counters(int* sum, unsigned* ring, unsigned* largest, float* total) {
  atomicAdd(sum, (int)threadIdx.x - 10);
  atomicInc(ring, 6);
  atomicMax(largest, threadIdx.x % 29);
  atomicAdd(total, 0.5f);
}

// Lanes read what one of them is about to replace: right with __syncwarp.
#define MISSING_SYNCWARP 1
extern "C" __global__ void within_warp(float* y, const float* x, int bug) {
  __shared__ float common;
  if (threadIdx.x == 0) common = x[0];
  __syncwarp();
  y[threadIdx.x] = common;
  if (bug != MISSING_SYNCWARP) __syncwarp();
  if (threadIdx.x == 0) common = x[1];
  __syncwarp();
  y[threadIdx.x] += common;
}
