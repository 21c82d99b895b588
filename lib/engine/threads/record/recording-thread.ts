/** What makes a thread of a machine a recorded one: its recorder, and memory and observer that tell it. */
import type { OpenMemory } from '../../../hypervisor/hypervisor';
import { type MachineImage, privateLayout } from '../../../hypervisor/image';
import type { Observer } from '../../../hypervisor/platform';
import { CHANNEL_BYTES, VCPU_BYTES, VCPU_INFO } from '../../../hypervisor/state-layout';
import { type AccessRecorder, LogKind, regionOf } from './access-log';
import { RecordingMemory } from './recording-memory';

const everywhere = (): boolean => true;

/** Memory as `open` gives it, noted: guests' memory whole, of the hypervisor's own where vcpu_info lies and what ports are. */
export function openRecorded(open: OpenMemory, recorder: AccessRecorder, image: MachineImage): OpenMemory {
  return (buffer, region) => {
    const memory = open(buffer, region);
    if (region.kind === 'global') return memory;
    const index = image.domains.findIndex(({ config }) => config.id === region.domainId);
    const isPrivate = region.kind === 'private';
    const watches = isPrivate ? watched(image, index) : everywhere;
    return new RecordingMemory(memory, recorder, { region: regionOf(index, isPrivate), reads: !isPrivate, watches });
  };
}

function watched(image: MachineImage, index: number): (address: number) => boolean {
  const domain = image.domains[index];
  if (domain === undefined) throw new RangeError(`no domain ${index}`);
  const { vcpus, pirqs, channels, fifo } = privateLayout(domain.config, image.options.irqs);
  return (address) => {
    if (address >= channels) return address < fifo && (address - channels) % CHANNEL_BYTES !== 0;
    return address >= vcpus && address < pirqs && (address - vcpus) % VCPU_BYTES === VCPU_INFO;
  };
}

/** An observer that tells the recorder besides. What it is told has happened with the access noted last. */
export function observeRecorded(
  { kicked, woken, raised, xenConsumer }: Observer,
  recorder: AccessRecorder,
  slotOf: (domainId: number, vcpuId: number) => number,
): Observer {
  return {
    kicked(domainId, vcpuId) {
      recorder.note(LogKind.KICKED, 0, slotOf(domainId, vcpuId), 0, 0);
      kicked(domainId, vcpuId);
    },
    woken(domainId, vcpuId) {
      recorder.mark(LogKind.WOKEN, slotOf(domainId, vcpuId));
      woken(domainId, vcpuId);
    },
    raised(domainId, vcpuId, port) {
      recorder.note(LogKind.RAISED, 0, slotOf(domainId, vcpuId), 0, port);
      raised(domainId, vcpuId, port);
    },
    xenConsumer,
  };
}
