/**
 * The facts of Xen's guest ABI, under Xen's own names: layouts of the structures a guest shares with the hypervisor, numbers of
 * hypercalls and their operations, error numbers. Entry point `upcall/abi`.
 *
 * Describes Xen 4.23-unstable at commit c447b7308b, interface version 0x00041300.
 */
export {
  ABI_CONSTANTS,
  ABI_NAMES,
  type AbiConstants,
  type AbiName,
  isAbiName,
} from './abis';
export { BLKIF_MAX_SEGMENTS_PER_REQUEST, BLKIF_OP, BLKIF_RSP, BLKIF_SECTOR_BYTES, VDISK } from './block';
export {
  CALLBACK,
  GUEST_EVTCHN_PPI,
  HVM_PARAM,
  HVMOP,
} from './callback';
export {
  CONSOLEIO,
  XENCONSOLE,
} from './console';
export {
  DOMID,
  DOMID_ANY,
  DOMID_COW,
  DOMID_FIRST_RESERVED,
  DOMID_IDLE,
  DOMID_INVALID,
  DOMID_IO,
  DOMID_MASK,
  DOMID_SELF,
  DOMID_XEN,
} from './domain-ids';
export { XEN_DOMINF } from './domctl';
export {
  ERRNO_INTERNAL,
  Errno,
  type ErrnoName,
  errnoName,
  HypercallError,
} from './errno';
export {
  BIND_PIRQ,
  ECS,
  ECS_FREE,
  ECS_INTERDOMAIN,
  ECS_IPI,
  ECS_PIRQ,
  ECS_RESERVED,
  ECS_UNBOUND,
  ECS_VIRQ,
  EVTCHNOP,
  EVTCHNOP_alloc_unbound,
  EVTCHNOP_bind_interdomain,
  EVTCHNOP_bind_ipi,
  EVTCHNOP_bind_pirq,
  EVTCHNOP_bind_vcpu,
  EVTCHNOP_bind_virq,
  EVTCHNOP_close,
  EVTCHNOP_expand_array,
  EVTCHNOP_init_control,
  EVTCHNOP_internal,
  EVTCHNOP_reset,
  EVTCHNOP_send,
  EVTCHNOP_set_priority,
  EVTCHNOP_status,
  EVTCHNOP_unmask,
  EVTCHNSTAT,
  EVTCHNSTAT_closed,
  EVTCHNSTAT_interdomain,
  EVTCHNSTAT_ipi,
  EVTCHNSTAT_pirq,
  EVTCHNSTAT_unbound,
  EVTCHNSTAT_virq,
  TOOLSTACK_DEFAULTS,
} from './event-channel';
export {
  FIFO,
  FIFO_MASKS,
} from './fifo';
export {
  GNTCOPY,
  GNTMAP,
  GNTST,
  GNTTAB,
  GNTTAB_CACHE,
  GNTTABOP,
  GrantError,
  GTF,
  gntstName,
} from './grant';
export { HYPERCALLS } from './hypercall-numbers';
export {
  layoutOf,
  layoutsOf,
  STRUCTS,
  type StructName,
} from './layouts';
export {
  XENMAPSPACE,
  XENMEM,
} from './memory-op';
export {
  PHYSDEVOP,
  XENIRQSTAT,
} from './physdev';
export {
  SCHEDOP,
  SCHEDOP_block,
  SCHEDOP_limits,
  SCHEDOP_pin_override,
  SCHEDOP_poll,
  SCHEDOP_remote_shutdown,
  SCHEDOP_shutdown,
  SCHEDOP_shutdown_code,
  SCHEDOP_watchdog,
  SCHEDOP_yield,
  SHUTDOWN,
  SHUTDOWN_CODE_INVALID,
  SHUTDOWN_crash,
  SHUTDOWN_MAX,
  SHUTDOWN_poweroff,
  SHUTDOWN_reboot,
  SHUTDOWN_soft_reset,
  SHUTDOWN_suspend,
  SHUTDOWN_watchdog,
} from './sched';
export { SIF } from './start-info';
export {
  type FieldLayout,
  type Member,
  type Members,
  type ScalarName,
  type StructLayout,
  structLayout,
} from './struct';
export {
  set_timer_op_limits,
  XEN_PVCLOCK,
} from './time';
export {
  RUNSTATE,
  RUNSTATE_blocked,
  RUNSTATE_offline,
  RUNSTATE_runnable,
  RUNSTATE_running,
  VCPU_SSHOTTMR,
  VCPUOP,
  VCPUOP_down,
  VCPUOP_get_physid,
  VCPUOP_get_runstate_info,
  VCPUOP_initialise,
  VCPUOP_is_up,
  VCPUOP_limits,
  VCPUOP_register_runstate_memory_area,
  VCPUOP_register_runstate_phys_area,
  VCPUOP_register_vcpu_info,
  VCPUOP_register_vcpu_time_memory_area,
  VCPUOP_register_vcpu_time_phys_area,
  VCPUOP_send_nmi,
  VCPUOP_set_periodic_timer,
  VCPUOP_set_singleshot_timer,
  VCPUOP_stop_periodic_timer,
  VCPUOP_stop_singleshot_timer,
  VCPUOP_up,
  XEN_RUNSTATE_UPDATE,
  XEN_RUNSTATE_UPDATE_BIT,
} from './vcpu';
export {
  NR_VIRQS,
  VIRQ,
  VIRQ_ARCH_0,
  VIRQ_ARCH_1,
  VIRQ_ARCH_2,
  VIRQ_ARCH_3,
  VIRQ_ARCH_4,
  VIRQ_ARCH_5,
  VIRQ_ARCH_6,
  VIRQ_ARCH_7,
  VIRQ_ARGO,
  VIRQ_CLASS,
  VIRQ_CON_RING,
  VIRQ_CONSOLE,
  VIRQ_DEBUG,
  VIRQ_DEBUGGER,
  VIRQ_DOM_EXC,
  VIRQ_ENOMEM,
  VIRQ_MEM_EVENT,
  VIRQ_PCPU_STATE,
  VIRQ_TBUF,
  VIRQ_TIMER,
  VIRQ_XENOPROF,
  VIRQ_XENPMU,
  type VirqClass,
} from './virq';
export {
  VMASST,
  XENFEAT,
  XENVER,
} from './xen-version';
export { XenbusState, type XenbusStateNumber } from './xenbus';
export {
  XENSTORE,
  XS,
} from './xenstore';
