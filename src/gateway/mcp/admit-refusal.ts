import type { JsonObject } from '../../base/index.ts';
import { RPC_ERROR, type RpcId, rpcError } from '../upstream/index.ts';

/** Why a request was turned away before anybody asked who sent it. */
export type AdmitReason =
  | 'method_not_allowed'
  | 'no_such_endpoint'
  | 'host_not_allowed'
  | 'origin_not_allowed'
  | 'not_acceptable'
  | 'unsupported_media_type'
  | 'body_too_large'
  | 'not_utf8'
  | 'not_json'
  | 'ambiguous_json'
  | 'batch'
  | 'not_json_rpc'
  | 'bad_id'
  | 'unknown_key'
  | 'ambiguous_key'
  | 'bad_header'
  | 'header_mismatch'
  | 'envelope_incomplete';

/** `detail` names the offending part in words fit for the agent: it is the agent's own. */
export type AdmitRefusal = {
  readonly reason: AdmitReason;
  readonly detail: string;
  /** The id of the request, when it could be read. */
  readonly id?: RpcId;
};

export type AdmitWire = {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: JsonObject;
};

/** The HTTP answer to a request that was not admitted: a JSON-RPC error, with the codes MCP has for it. */
export function admitRefusalToWire(refusal: AdmitRefusal): AdmitWire {
  const { id, detail } = refusal;
  const wire = (status: number, code: number): AdmitWire => ({ status, body: rpcError(id, code, detail) });
  switch (refusal.reason) {
    case 'method_not_allowed':
      return { ...wire(405, RPC_ERROR.server), headers: { allow: 'POST' } };
    case 'no_such_endpoint':
      return wire(404, RPC_ERROR.server);
    case 'host_not_allowed':
    case 'origin_not_allowed':
      return wire(403, RPC_ERROR.server);
    case 'not_acceptable':
      return wire(406, RPC_ERROR.server);
    case 'unsupported_media_type':
      return wire(415, RPC_ERROR.server);
    case 'body_too_large':
      return wire(413, RPC_ERROR.server);
    case 'not_utf8':
    case 'not_json':
      return wire(400, RPC_ERROR.parse);
    case 'ambiguous_json':
    case 'batch':
    case 'not_json_rpc':
    case 'bad_id':
    case 'unknown_key':
    case 'ambiguous_key':
    case 'bad_header':
      return wire(400, RPC_ERROR.invalidRequest);
    case 'header_mismatch':
      return wire(400, RPC_ERROR.headerMismatch);
    case 'envelope_incomplete':
      return wire(400, RPC_ERROR.invalidParams);
  }
}
