// LANES neighbours in memory, which a thread reads and writes at once: 4 where the innermost axis
// is divisible by 4, so that an access has 16 bytes, else 1.

#ifndef LANES
#define LANES 1
#endif

template <class T>
struct __align__(LANES * sizeof(T)) Lanes {
  T at[LANES];
};

template <class T>
__device__ __forceinline__ Lanes<T> load(const T* from) {
  return *reinterpret_cast<const Lanes<T>*>(from);
}

template <class T>
__device__ __forceinline__ void store(T* to, const Lanes<T>& lanes) {
  *reinterpret_cast<Lanes<T>*>(to) = lanes;
}
