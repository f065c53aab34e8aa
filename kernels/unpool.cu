// Values put back where places name them, as pooling noted them:
//
//   unpool                    y[where[k]] = x[k], and 0 elsewhere; of several k the last
//   unpool_backward           dx[k] = dy[where[k]]
//   global_max_pool_backward  dx[n, c, p] = dy[n, c] if p is where[n, c], else 0
//
// Memory has the channels innermost: (images, plane, channels). `where` holds places as NumPy
// counts them, in the order (images, channels, plane), and so are the k counted; what is no place
// is left out. For global_max_pool_backward it holds places in a plane.
//
// unpool takes two passes, so that the result does not depend on which thread comes last: `latest`
// finds the last k of each place by an integer maximum, `unpool` reads what it found. The others
// are a thread for each element. The cost is that of the bytes.

// The number of the element at i in memory, counted in the order (images, channels, plane) ...
__device__ __forceinline__ unsigned counted(unsigned i, int plane, int channels) {
  const unsigned image = i / channels / plane;
  return (image * channels + i % channels) * plane + i / channels % plane;
}

// ... and the other way.
__device__ __forceinline__ unsigned in_memory(unsigned k, int plane, int channels) {
  const unsigned image = k / plane / channels;
  return (image * plane + k % plane) * channels + k / plane % channels;
}

extern "C" __global__ void latest(int* found, const int* __restrict__ where, int count, int plane,
                                  int channels, int places) {
  // found is (places), full of -1; where is (images, plane, channels), count its elements
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count && where[i] >= 0 && where[i] < places) {
    atomicMax(found + where[i], int(counted(i, plane, channels)));
  }
}

extern "C" __global__ void unpool(float* __restrict__ y, const int* __restrict__ found,
                                  const float* __restrict__ x, int count, int plane, int channels,
                                  int x_plane, int x_channels) {
  // y is (images, plane, channels), count its elements; x is (images, x_plane, x_channels)
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) {
    const int k = found[counted(i, plane, channels)];
    y[i] = k < 0 ? 0.0f : x[in_memory(k, x_plane, x_channels)];
  }
}

extern "C" __global__ void unpool_backward(float* __restrict__ dx, const float* __restrict__ dy,
                                           const int* __restrict__ where, int count, int plane,
                                           int channels, int places) {
  // dy is (images, plane, channels), places its elements; dx and where have count elements
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) {
    const int k = where[i];
    dx[i] = k >= 0 && k < places ? dy[in_memory(k, plane, channels)] : 0.0f;
  }
}

extern "C" __global__ void global_max_pool_backward(float* __restrict__ dx,
                                                    const float* __restrict__ dy,
                                                    const long long* __restrict__ where,
                                                    int count, int plane, int channels) {
  // dx is (images, plane, channels), count its elements; dy and where are (images, channels)
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) {
    const unsigned result = i / channels / plane * channels + i % channels;
    dx[i] = where[result] == i / channels % plane ? dy[result] : 0.0f;
  }
}
