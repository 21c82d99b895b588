/** One vCPU from start to end: the task of a worker thread. */
import { RecordedVcpu } from './record/recorded-vcpu';
import { type VcpuOutcome, type VcpuTask, VcpuThread } from './vcpu-thread';

export function runVcpu(task: VcpuTask): VcpuOutcome {
  // A run that nobody records has the plain vCPU and the hypervisor's lean memory: its code never sees the others.
  return task.record === undefined ? new VcpuThread(task).run() : new RecordedVcpu(task).run();
}
