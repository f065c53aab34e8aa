// y[o, j, i] = the sum over k from -radius to radius of g[k] * x[o, j + k, i], the axis a ring: a
// Gaussian along one axis. g[k] is proportional to exp(-k * k / (2 * sigma * sigma)), its sum 1.
//
// Memory: x and y are (outer, size, inner). A thread makes one element, of 2 * radius + 1. A block
// works out the weights first, in shared memory: that is cheaper than to keep them somewhere. A
// picture takes a launch for each axis. The cost is that of the bytes as long as the caches hold
// 2 * radius rows.

extern "C" __global__ void gaussian_blur(float* __restrict__ y, const float* __restrict__ x,
                                         int outer, int size, int inner, float sigma, int radius) {
  extern __shared__ float weights[];  // of 0 to radius, not yet divided by their sum
  for (int k = threadIdx.x; k <= radius; k += blockDim.x) {
    const float distance = k / sigma;
    weights[k] = expf(-0.5f * distance * distance);
  }
  __syncthreads();
  const unsigned item = blockIdx.x * blockDim.x + threadIdx.x;
  const int i = item % inner;
  const int j = item / inner % size;
  const int o = item / inner / size;
  if (o >= outer) {
    return;
  }
  const float* line = x + o * size * inner + i;
  float sum = 0.0f;
  float total = 0.0f;
  int place = ((j - radius) % size + size) % size;
  for (int k = -radius; k <= radius; k++) {
    const float weight = weights[abs(k)];
    sum += weight * line[place * inner];
    total += weight;
    place = place + 1 < size ? place + 1 : 0;
  }
  y[item] = sum / total;
}
