import path from 'node:path';
import { expect } from 'chai';
import { runOnce } from '../../lib/explore/run-once';
import { KERNEL_BLOCK, kernelRanges, TIMER_PORT } from '../../lib/guest/kernel-area';
import { AddressNames } from '../../lib/memory/names';

const FRAME_BYTES = 4096;
const MEMORY_BYTES = 64 * FRAME_BYTES;

describe('the kernel block', () => {
  it('has a size that divides a frame, so that no vcpu_info in it crosses one', () => {
    expect(FRAME_BYTES % KERNEL_BLOCK.size).to.equal(0);
    expect(KERNEL_BLOCK.fields.vcpu_info?.size).to.equal(64);
    expect((KERNEL_BLOCK.fields.vcpu_info?.offset ?? 1) % 64).to.equal(0);
  });

  it('has room for the ports of the widest ABI', () => {
    expect(KERNEL_BLOCK.fields.port_filter?.size).to.equal(4096 / 8);
  });

  it('keeps words that other vCPUs read off the cache line that changes with every event', () => {
    const line = (name: string) => Math.floor((KERNEL_BLOCK.fields[name]?.offset ?? -1) / 64);
    expect(line('next_port')).to.not.equal(line('kick_port'));
    expect(line('next_port')).to.not.equal(line('awaited'));
  });

  it('is named in traces, one block for each vCPU, downwards from the end of memory', () => {
    const names = new AddressNames(kernelRanges(2, MEMORY_BYTES));
    const last = MEMORY_BYTES - KERNEL_BLOCK.size;
    expect(names.nameOf(last + TIMER_PORT)).to.equal('kernel[0].timer_port');
    expect(names.nameOf(last - KERNEL_BLOCK.size + TIMER_PORT)).to.equal('kernel[1].timer_port');
    expect(names.describeBits(last + 8, 1 << 2)).to.equal('kernel[0].port_filter[2] port 66');
    expect(names.nameOf(last - KERNEL_BLOCK.size - 4)).to.match(/^0x/);
  });
});

describe('the frames that the library hands out', () => {
  it('end above the pages of the services, also in a domain without named words', async () => {
    const { domains, failure } = await runOnce(path.join(__dirname, 'scenarios', 'take-frames.ts'), {
      engine: 'inline',
    });
    expect(failure).to.equal(null);
    // Below are the frame for null pointers, shared_info, start_info and the page of xenstore.
    expect(domains[0]?.vcpus[0]?.result).to.equal(4);
  });
});
