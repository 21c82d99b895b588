export interface SharedInfoView { readonly address: number }
export interface VcpuInfoView { readonly address: number }
