//! The XOR alone: ours, the byte loop that it must agree with, and a copy of as many bytes.
//! Other libraries are measured beside it in `benches/peers`.

#![allow(missing_docs, reason = "the functions that the macros make")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sockeye::proto::{MaskKey, apply_mask};
use std::hint::black_box;

const SIZES: [usize; 11] = [4, 16, 20, 64, 125, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 1 << 20];

fn mask(c: &mut Criterion) {
    let key = MaskKey([0x37, 0xfa, 0x21, 0x3d]);
    for (name, offset) in [("mask", 0), ("mask after a header", 6)] {
        let mut group = c.benchmark_group(name);
        for size in SIZES {
            group.throughput(Throughput::Bytes(size as u64));
            // Payloads one after the other: the same one again would wait for its own stores.
            let stride = (size + offset).next_multiple_of(64);
            let payloads = (16 << 10) / stride.min(16 << 10);
            let mut memory = vec![0; payloads * stride + 64];
            let first = memory.as_ptr().addr().wrapping_neg() % 64 + offset;
            let copy = memory.clone();
            let mut turn = 0;
            let mut next = move || {
                turn = (turn + 1) % payloads;
                first + turn * stride
            };

            group.bench_function(BenchmarkId::new("sockeye", size), |b| {
                b.iter(|| {
                    let start = next();
                    apply_mask(black_box(key), black_box(&mut memory[start..start + size]))
                });
            });
            group.bench_function(BenchmarkId::new("byte loop", size), |b| {
                b.iter(|| {
                    let start = next();
                    let key = black_box(key).0;
                    let bytes = black_box(&mut memory[start..start + size]);
                    for (i, byte) in bytes.iter_mut().enumerate() {
                        *byte ^= key[i % 4];
                    }
                });
            });
            group.bench_function(BenchmarkId::new("memcpy", size), |b| {
                b.iter(|| {
                    let start = next();
                    let from = black_box(&copy[start..start + size]);
                    black_box(&mut memory[start..start + size]).copy_from_slice(from);
                });
            });
        }
    }
}

criterion_group!(benches, mask);
criterion_main!(benches);
