/**
 * Virtual interrupts: their numbers, and who may bind which.
 *
 * @source xen/include/public/xen.h, xen/common/event_channel.c (get_virq_type)
 */

export const NR_VIRQS = 24;

/** Per vCPU: its single-shot or periodic timer fired. */
export const VIRQ_TIMER = 0;
/** Per vCPU: the host's operator asks for a state dump. */
export const VIRQ_DEBUG = 1;
/** Global: input for the console. */
export const VIRQ_CONSOLE = 2;
/** Global: a domain shut down, died or vanished. */
export const VIRQ_DOM_EXC = 3;
/** Global: trace buffer half full. */
export const VIRQ_TBUF = 4;
/** Global: a domain stopped for its debugger. */
export const VIRQ_DEBUGGER = 6;
/** Per vCPU: profile samples. */
export const VIRQ_XENOPROF = 7;
/** Global: output entered the hypervisor's console ring. */
export const VIRQ_CON_RING = 8;
/** Global: a physical CPU came or went. */
export const VIRQ_PCPU_STATE = 9;
/** Global: memory event. */
export const VIRQ_MEM_EVENT = 10;
/** Per domain: Argo message. */
export const VIRQ_ARGO = 11;
/** Global: the host is short of memory. */
export const VIRQ_ENOMEM = 12;
/** Per vCPU: performance counters. */
export const VIRQ_XENPMU = 13;
/** Global; machine check on x86. */
export const VIRQ_ARCH_0 = 16;
export const VIRQ_ARCH_1 = 17;
export const VIRQ_ARCH_2 = 18;
export const VIRQ_ARCH_3 = 19;
export const VIRQ_ARCH_4 = 20;
export const VIRQ_ARCH_5 = 21;
export const VIRQ_ARCH_6 = 22;
export const VIRQ_ARCH_7 = 23;

/** Virtual interrupts. 5, 14 and 15 are not assigned. */
export const VIRQ = {
  VIRQ_TIMER,
  VIRQ_DEBUG,
  VIRQ_CONSOLE,
  VIRQ_DOM_EXC,
  VIRQ_TBUF,
  VIRQ_DEBUGGER,
  VIRQ_XENOPROF,
  VIRQ_CON_RING,
  VIRQ_PCPU_STATE,
  VIRQ_MEM_EVENT,
  VIRQ_ARGO,
  VIRQ_ENOMEM,
  VIRQ_XENPMU,
  VIRQ_ARCH_0,
  VIRQ_ARCH_1,
  VIRQ_ARCH_2,
  VIRQ_ARCH_3,
  VIRQ_ARCH_4,
  VIRQ_ARCH_5,
  VIRQ_ARCH_6,
  VIRQ_ARCH_7,
} as const;

export type VirqClass = 'vcpu' | 'domain' | 'global';

/**
 * The class of each VIRQ, by number: `vcpu` has a binding for each vCPU, `domain` one for each domain, `global` one for the
 * machine, held by the VIRQ's handler domain. Numbers without a name are global.
 */
export const VIRQ_CLASS: readonly VirqClass[] = Array.from({ length: NR_VIRQS }, (_, virq) => {
  switch (virq) {
    case VIRQ_TIMER:
    case VIRQ_DEBUG:
    case VIRQ_XENOPROF:
    case VIRQ_XENPMU:
      return 'vcpu';
    case VIRQ_ARGO:
      return 'domain';
    default:
      return 'global';
  }
});
