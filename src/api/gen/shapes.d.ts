// Generated from src/api/*.proto by `make proto`; not to be edited.
import * as $protobuf from "protobufjs";

export namespace sluice {

    namespace v1alpha1 {

        interface IGetStatusRequest extends sluice.v1alpha1.GetStatusRequest.$Properties {
        }

        class GetStatusRequest {
            constructor(properties?: sluice.v1alpha1.GetStatusRequest.$Properties);
            $unknowns?: Uint8Array[];
            static create(properties: sluice.v1alpha1.GetStatusRequest.$Shape): sluice.v1alpha1.GetStatusRequest & sluice.v1alpha1.GetStatusRequest.$Shape;
            static create(properties?: sluice.v1alpha1.GetStatusRequest.$Properties): sluice.v1alpha1.GetStatusRequest;
            static encode(message: sluice.v1alpha1.GetStatusRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.GetStatusRequest & sluice.v1alpha1.GetStatusRequest.$Shape;
        }

        namespace GetStatusRequest {
            interface $Properties {
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.GetStatusRequest.$Properties;
        }

        interface IGetStatusResponse extends sluice.v1alpha1.GetStatusResponse.$Properties {
        }

        class GetStatusResponse {
            constructor(properties?: sluice.v1alpha1.GetStatusResponse.$Properties);
            $unknowns?: Uint8Array[];
            node: string;
            state: sluice.v1alpha1.State;
            live?: (sluice.v1alpha1.Activation.$Properties|null);
            drift: string[];
            workspaces: sluice.v1alpha1.WorkspaceStatus.$Properties[];
            quarantines: sluice.v1alpha1.QuarantineRecord.$Properties[];
            drops: { [k: string]: number };
            unfinished: boolean;
            sinks: sluice.v1alpha1.SinkStatus.$Properties[];
            static create(properties: sluice.v1alpha1.GetStatusResponse.$Shape): sluice.v1alpha1.GetStatusResponse & sluice.v1alpha1.GetStatusResponse.$Shape;
            static create(properties?: sluice.v1alpha1.GetStatusResponse.$Properties): sluice.v1alpha1.GetStatusResponse;
            static encode(message: sluice.v1alpha1.GetStatusResponse.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.GetStatusResponse & sluice.v1alpha1.GetStatusResponse.$Shape;
        }

        namespace GetStatusResponse {
            interface $Properties {
                node?: (string|null);
                state?: (sluice.v1alpha1.State|null);
                live?: (sluice.v1alpha1.Activation.$Properties|null);
                drift?: (string[]|null);
                workspaces?: (sluice.v1alpha1.WorkspaceStatus.$Properties[]|null);
                quarantines?: (sluice.v1alpha1.QuarantineRecord.$Properties[]|null);
                drops?: ({ [k: string]: number }|null);
                unfinished?: (boolean|null);
                sinks?: (sluice.v1alpha1.SinkStatus.$Properties[]|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.GetStatusResponse.$Properties;
        }

        interface ISinkStatus extends sluice.v1alpha1.SinkStatus.$Properties {
        }

        class SinkStatus {
            constructor(properties?: sluice.v1alpha1.SinkStatus.$Properties);
            $unknowns?: Uint8Array[];
            name: string;
            kind: string;
            state: string;
            sequence: number;
            lag: number;
            delivered: number;
            refused: number;
            discarded: number;
            failures: number;
            error: string;
            static create(properties: sluice.v1alpha1.SinkStatus.$Shape): sluice.v1alpha1.SinkStatus & sluice.v1alpha1.SinkStatus.$Shape;
            static create(properties?: sluice.v1alpha1.SinkStatus.$Properties): sluice.v1alpha1.SinkStatus;
            static encode(message: sluice.v1alpha1.SinkStatus.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.SinkStatus & sluice.v1alpha1.SinkStatus.$Shape;
        }

        namespace SinkStatus {
            interface $Properties {
                name?: (string|null);
                kind?: (string|null);
                state?: (string|null);
                sequence?: (number|null);
                lag?: (number|null);
                delivered?: (number|null);
                refused?: (number|null);
                discarded?: (number|null);
                failures?: (number|null);
                error?: (string|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.SinkStatus.$Properties;
        }

        enum State {
            STATE_UNSPECIFIED = 0,
            STATE_NOTHING = 1,
            STATE_CLOSED = 2,
            STATE_ACTIVE = 3,
            STATE_ABSENT = 4,
            STATE_DRIFTED = 5,
            STATE_LOST = 6
        }

        interface IActivation extends sluice.v1alpha1.Activation.$Properties {
        }

        class Activation {
            constructor(properties?: sluice.v1alpha1.Activation.$Properties);
            $unknowns?: Uint8Array[];
            generation: number;
            planDigest: string;
            bundleId: string;
            bundleDigest: string;
            policyRevision: string;
            epoch: number;
            channel: string;
            decidedAtMs: number;
            expiresAtMs: number;
            static create(properties: sluice.v1alpha1.Activation.$Shape): sluice.v1alpha1.Activation & sluice.v1alpha1.Activation.$Shape;
            static create(properties?: sluice.v1alpha1.Activation.$Properties): sluice.v1alpha1.Activation;
            static encode(message: sluice.v1alpha1.Activation.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.Activation & sluice.v1alpha1.Activation.$Shape;
        }

        namespace Activation {
            interface $Properties {
                generation?: (number|null);
                planDigest?: (string|null);
                bundleId?: (string|null);
                bundleDigest?: (string|null);
                policyRevision?: (string|null);
                epoch?: (number|null);
                channel?: (string|null);
                decidedAtMs?: (number|null);
                expiresAtMs?: (number|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.Activation.$Properties;
        }

        interface IWorkspaceStatus extends sluice.v1alpha1.WorkspaceStatus.$Properties {
        }

        class WorkspaceStatus {
            constructor(properties?: sluice.v1alpha1.WorkspaceStatus.$Properties);
            $unknowns?: Uint8Array[];
            workspace: string;
            interface: string;
            backend: string;
            domain: string;
            policy: string;
            grants: number;
            quarantined: boolean;
            suspended: boolean;
            static create(properties: sluice.v1alpha1.WorkspaceStatus.$Shape): sluice.v1alpha1.WorkspaceStatus & sluice.v1alpha1.WorkspaceStatus.$Shape;
            static create(properties?: sluice.v1alpha1.WorkspaceStatus.$Properties): sluice.v1alpha1.WorkspaceStatus;
            static encode(message: sluice.v1alpha1.WorkspaceStatus.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.WorkspaceStatus & sluice.v1alpha1.WorkspaceStatus.$Shape;
        }

        namespace WorkspaceStatus {
            interface $Properties {
                workspace?: (string|null);
                "interface"?: (string|null);
                backend?: (string|null);
                domain?: (string|null);
                policy?: (string|null);
                grants?: (number|null);
                quarantined?: (boolean|null);
                suspended?: (boolean|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.WorkspaceStatus.$Properties;
        }

        interface IQuarantineRecord extends sluice.v1alpha1.QuarantineRecord.$Properties {
        }

        class QuarantineRecord {
            constructor(properties?: sluice.v1alpha1.QuarantineRecord.$Properties);
            $unknowns?: Uint8Array[];
            workspace: string;
            reason: string;
            by: string;
            atMs: number;
            static create(properties: sluice.v1alpha1.QuarantineRecord.$Shape): sluice.v1alpha1.QuarantineRecord & sluice.v1alpha1.QuarantineRecord.$Shape;
            static create(properties?: sluice.v1alpha1.QuarantineRecord.$Properties): sluice.v1alpha1.QuarantineRecord;
            static encode(message: sluice.v1alpha1.QuarantineRecord.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.QuarantineRecord & sluice.v1alpha1.QuarantineRecord.$Shape;
        }

        namespace QuarantineRecord {
            interface $Properties {
                workspace?: (string|null);
                reason?: (string|null);
                by?: (string|null);
                atMs?: (number|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.QuarantineRecord.$Properties;
        }

        interface IGetPlanRequest extends sluice.v1alpha1.GetPlanRequest.$Properties {
        }

        class GetPlanRequest {
            constructor(properties?: sluice.v1alpha1.GetPlanRequest.$Properties);
            $unknowns?: Uint8Array[];
            static create(properties: sluice.v1alpha1.GetPlanRequest.$Shape): sluice.v1alpha1.GetPlanRequest & sluice.v1alpha1.GetPlanRequest.$Shape;
            static create(properties?: sluice.v1alpha1.GetPlanRequest.$Properties): sluice.v1alpha1.GetPlanRequest;
            static encode(message: sluice.v1alpha1.GetPlanRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.GetPlanRequest & sluice.v1alpha1.GetPlanRequest.$Shape;
        }

        namespace GetPlanRequest {
            interface $Properties {
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.GetPlanRequest.$Properties;
        }

        interface IGetPlanResponse extends sluice.v1alpha1.GetPlanResponse.$Properties {
        }

        class GetPlanResponse {
            constructor(properties?: sluice.v1alpha1.GetPlanResponse.$Properties);
            $unknowns?: Uint8Array[];
            generation: number;
            planDigest: string;
            plan: Uint8Array;
            static create(properties: sluice.v1alpha1.GetPlanResponse.$Shape): sluice.v1alpha1.GetPlanResponse & sluice.v1alpha1.GetPlanResponse.$Shape;
            static create(properties?: sluice.v1alpha1.GetPlanResponse.$Properties): sluice.v1alpha1.GetPlanResponse;
            static encode(message: sluice.v1alpha1.GetPlanResponse.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.GetPlanResponse & sluice.v1alpha1.GetPlanResponse.$Shape;
        }

        namespace GetPlanResponse {
            interface $Properties {
                generation?: (number|null);
                planDigest?: (string|null);
                plan?: (Uint8Array|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.GetPlanResponse.$Properties;
        }

        interface IExplainRequest extends sluice.v1alpha1.ExplainRequest.$Properties {
        }

        class ExplainRequest {
            constructor(properties?: sluice.v1alpha1.ExplainRequest.$Properties);
            $unknowns?: Uint8Array[];
            workspace: string;
            packet: string;
            static create(properties: sluice.v1alpha1.ExplainRequest.$Shape): sluice.v1alpha1.ExplainRequest & sluice.v1alpha1.ExplainRequest.$Shape;
            static create(properties?: sluice.v1alpha1.ExplainRequest.$Properties): sluice.v1alpha1.ExplainRequest;
            static encode(message: sluice.v1alpha1.ExplainRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.ExplainRequest & sluice.v1alpha1.ExplainRequest.$Shape;
        }

        namespace ExplainRequest {
            interface $Properties {
                workspace?: (string|null);
                packet?: (string|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.ExplainRequest.$Properties;
        }

        interface IExplainResponse extends sluice.v1alpha1.ExplainResponse.$Properties {
        }

        class ExplainResponse {
            constructor(properties?: sluice.v1alpha1.ExplainResponse.$Properties);
            $unknowns?: Uint8Array[];
            allowed: boolean;
            say: string;
            clause: string;
            grant: string;
            ways: string[];
            generation: number;
            static create(properties: sluice.v1alpha1.ExplainResponse.$Shape): sluice.v1alpha1.ExplainResponse & sluice.v1alpha1.ExplainResponse.$Shape;
            static create(properties?: sluice.v1alpha1.ExplainResponse.$Properties): sluice.v1alpha1.ExplainResponse;
            static encode(message: sluice.v1alpha1.ExplainResponse.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.ExplainResponse & sluice.v1alpha1.ExplainResponse.$Shape;
        }

        namespace ExplainResponse {
            interface $Properties {
                allowed?: (boolean|null);
                say?: (string|null);
                clause?: (string|null);
                grant?: (string|null);
                ways?: (string[]|null);
                generation?: (number|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.ExplainResponse.$Properties;
        }

        interface IQuarantineRequest extends sluice.v1alpha1.QuarantineRequest.$Properties {
        }

        class QuarantineRequest {
            constructor(properties?: sluice.v1alpha1.QuarantineRequest.$Properties);
            $unknowns?: Uint8Array[];
            workspace: string;
            reason: string;
            static create(properties: sluice.v1alpha1.QuarantineRequest.$Shape): sluice.v1alpha1.QuarantineRequest & sluice.v1alpha1.QuarantineRequest.$Shape;
            static create(properties?: sluice.v1alpha1.QuarantineRequest.$Properties): sluice.v1alpha1.QuarantineRequest;
            static encode(message: sluice.v1alpha1.QuarantineRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.QuarantineRequest & sluice.v1alpha1.QuarantineRequest.$Shape;
        }

        namespace QuarantineRequest {
            interface $Properties {
                workspace?: (string|null);
                reason?: (string|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.QuarantineRequest.$Properties;
        }

        interface IQuarantineResponse extends sluice.v1alpha1.QuarantineResponse.$Properties {
        }

        class QuarantineResponse {
            constructor(properties?: sluice.v1alpha1.QuarantineResponse.$Properties);
            $unknowns?: Uint8Array[];
            changed: boolean;
            generation: number;
            elapsedMs: number;
            receipt: string;
            static create(properties: sluice.v1alpha1.QuarantineResponse.$Shape): sluice.v1alpha1.QuarantineResponse & sluice.v1alpha1.QuarantineResponse.$Shape;
            static create(properties?: sluice.v1alpha1.QuarantineResponse.$Properties): sluice.v1alpha1.QuarantineResponse;
            static encode(message: sluice.v1alpha1.QuarantineResponse.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.QuarantineResponse & sluice.v1alpha1.QuarantineResponse.$Shape;
        }

        namespace QuarantineResponse {
            interface $Properties {
                changed?: (boolean|null);
                generation?: (number|null);
                elapsedMs?: (number|null);
                receipt?: (string|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.QuarantineResponse.$Properties;
        }

        interface ILiftRequest extends sluice.v1alpha1.LiftRequest.$Properties {
        }

        class LiftRequest {
            constructor(properties?: sluice.v1alpha1.LiftRequest.$Properties);
            $unknowns?: Uint8Array[];
            workspace: string;
            reason: string;
            static create(properties: sluice.v1alpha1.LiftRequest.$Shape): sluice.v1alpha1.LiftRequest & sluice.v1alpha1.LiftRequest.$Shape;
            static create(properties?: sluice.v1alpha1.LiftRequest.$Properties): sluice.v1alpha1.LiftRequest;
            static encode(message: sluice.v1alpha1.LiftRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.LiftRequest & sluice.v1alpha1.LiftRequest.$Shape;
        }

        namespace LiftRequest {
            interface $Properties {
                workspace?: (string|null);
                reason?: (string|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.LiftRequest.$Properties;
        }

        interface ILiftResponse extends sluice.v1alpha1.LiftResponse.$Properties {
        }

        class LiftResponse {
            constructor(properties?: sluice.v1alpha1.LiftResponse.$Properties);
            $unknowns?: Uint8Array[];
            generation: number;
            elapsedMs: number;
            static create(properties: sluice.v1alpha1.LiftResponse.$Shape): sluice.v1alpha1.LiftResponse & sluice.v1alpha1.LiftResponse.$Shape;
            static create(properties?: sluice.v1alpha1.LiftResponse.$Properties): sluice.v1alpha1.LiftResponse;
            static encode(message: sluice.v1alpha1.LiftResponse.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.LiftResponse & sluice.v1alpha1.LiftResponse.$Shape;
        }

        namespace LiftResponse {
            interface $Properties {
                generation?: (number|null);
                elapsedMs?: (number|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.LiftResponse.$Properties;
        }

        interface ICheckDriftRequest extends sluice.v1alpha1.CheckDriftRequest.$Properties {
        }

        class CheckDriftRequest {
            constructor(properties?: sluice.v1alpha1.CheckDriftRequest.$Properties);
            $unknowns?: Uint8Array[];
            static create(properties: sluice.v1alpha1.CheckDriftRequest.$Shape): sluice.v1alpha1.CheckDriftRequest & sluice.v1alpha1.CheckDriftRequest.$Shape;
            static create(properties?: sluice.v1alpha1.CheckDriftRequest.$Properties): sluice.v1alpha1.CheckDriftRequest;
            static encode(message: sluice.v1alpha1.CheckDriftRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.CheckDriftRequest & sluice.v1alpha1.CheckDriftRequest.$Shape;
        }

        namespace CheckDriftRequest {
            interface $Properties {
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.CheckDriftRequest.$Properties;
        }

        interface ICheckDriftResponse extends sluice.v1alpha1.CheckDriftResponse.$Properties {
        }

        class CheckDriftResponse {
            constructor(properties?: sluice.v1alpha1.CheckDriftResponse.$Properties);
            $unknowns?: Uint8Array[];
            asPlanned: boolean;
            drift: string[];
            repairs: number;
            static create(properties: sluice.v1alpha1.CheckDriftResponse.$Shape): sluice.v1alpha1.CheckDriftResponse & sluice.v1alpha1.CheckDriftResponse.$Shape;
            static create(properties?: sluice.v1alpha1.CheckDriftResponse.$Properties): sluice.v1alpha1.CheckDriftResponse;
            static encode(message: sluice.v1alpha1.CheckDriftResponse.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.CheckDriftResponse & sluice.v1alpha1.CheckDriftResponse.$Shape;
        }

        namespace CheckDriftResponse {
            interface $Properties {
                asPlanned?: (boolean|null);
                drift?: (string[]|null);
                repairs?: (number|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.CheckDriftResponse.$Properties;
        }

        interface IAttachRequest extends sluice.v1alpha1.AttachRequest.$Properties {
        }

        class AttachRequest {
            constructor(properties?: sluice.v1alpha1.AttachRequest.$Properties);
            $unknowns?: Uint8Array[];
            workspace: string;
            kind: sluice.v1alpha1.SlotKind;
            interface: string;
            leaseGeneration: number;
            netns: string;
            static create(properties: sluice.v1alpha1.AttachRequest.$Shape): sluice.v1alpha1.AttachRequest & sluice.v1alpha1.AttachRequest.$Shape;
            static create(properties?: sluice.v1alpha1.AttachRequest.$Properties): sluice.v1alpha1.AttachRequest;
            static encode(message: sluice.v1alpha1.AttachRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.AttachRequest & sluice.v1alpha1.AttachRequest.$Shape;
        }

        namespace AttachRequest {
            interface $Properties {
                workspace?: (string|null);
                kind?: (sluice.v1alpha1.SlotKind|null);
                "interface"?: (string|null);
                leaseGeneration?: (number|null);
                netns?: (string|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.AttachRequest.$Properties;
        }

        enum SlotKind {
            SLOT_KIND_UNSPECIFIED = 0,
            SLOT_KIND_VETH = 1,
            SLOT_KIND_TAP = 2,
            SLOT_KIND_REPRESENTOR = 3,
            SLOT_KIND_BRIDGE_PORT = 4,
            SLOT_KIND_CGROUP = 5
        }

        interface IAttachResponse extends sluice.v1alpha1.AttachResponse.$Properties {
        }

        class AttachResponse {
            constructor(properties?: sluice.v1alpha1.AttachResponse.$Properties);
            $unknowns?: Uint8Array[];
            attachment?: (sluice.v1alpha1.Attachment.$Properties|null);
            generation: number;
            elapsedMs: number;
            static create(properties: sluice.v1alpha1.AttachResponse.$Shape): sluice.v1alpha1.AttachResponse & sluice.v1alpha1.AttachResponse.$Shape;
            static create(properties?: sluice.v1alpha1.AttachResponse.$Properties): sluice.v1alpha1.AttachResponse;
            static encode(message: sluice.v1alpha1.AttachResponse.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.AttachResponse & sluice.v1alpha1.AttachResponse.$Shape;
        }

        namespace AttachResponse {
            interface $Properties {
                attachment?: (sluice.v1alpha1.Attachment.$Properties|null);
                generation?: (number|null);
                elapsedMs?: (number|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.AttachResponse.$Properties;
        }

        interface IAttachment extends sluice.v1alpha1.Attachment.$Properties {
        }

        class Attachment {
            constructor(properties?: sluice.v1alpha1.Attachment.$Properties);
            $unknowns?: Uint8Array[];
            workspace: string;
            attachmentId: string;
            leaseGeneration: number;
            kind: sluice.v1alpha1.SlotKind;
            interface: string;
            by: string;
            atMs: number;
            attached: boolean;
            static create(properties: sluice.v1alpha1.Attachment.$Shape): sluice.v1alpha1.Attachment & sluice.v1alpha1.Attachment.$Shape;
            static create(properties?: sluice.v1alpha1.Attachment.$Properties): sluice.v1alpha1.Attachment;
            static encode(message: sluice.v1alpha1.Attachment.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.Attachment & sluice.v1alpha1.Attachment.$Shape;
        }

        namespace Attachment {
            interface $Properties {
                workspace?: (string|null);
                attachmentId?: (string|null);
                leaseGeneration?: (number|null);
                kind?: (sluice.v1alpha1.SlotKind|null);
                "interface"?: (string|null);
                by?: (string|null);
                atMs?: (number|null);
                attached?: (boolean|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.Attachment.$Properties;
        }

        interface IOpenSessionRequest extends sluice.v1alpha1.OpenSessionRequest.$Properties {
        }

        class OpenSessionRequest {
            constructor(properties?: sluice.v1alpha1.OpenSessionRequest.$Properties);
            $unknowns?: Uint8Array[];
            workspace: string;
            sessionId: string;
            user: string;
            peer: string;
            lifetimeMs: number;
            static create(properties: sluice.v1alpha1.OpenSessionRequest.$Shape): sluice.v1alpha1.OpenSessionRequest & sluice.v1alpha1.OpenSessionRequest.$Shape;
            static create(properties?: sluice.v1alpha1.OpenSessionRequest.$Properties): sluice.v1alpha1.OpenSessionRequest;
            static encode(message: sluice.v1alpha1.OpenSessionRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.OpenSessionRequest & sluice.v1alpha1.OpenSessionRequest.$Shape;
        }

        namespace OpenSessionRequest {
            interface $Properties {
                workspace?: (string|null);
                sessionId?: (string|null);
                user?: (string|null);
                peer?: (string|null);
                lifetimeMs?: (number|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.OpenSessionRequest.$Properties;
        }

        interface IOpenSessionResponse extends sluice.v1alpha1.OpenSessionResponse.$Properties {
        }

        class OpenSessionResponse {
            constructor(properties?: sluice.v1alpha1.OpenSessionResponse.$Properties);
            $unknowns?: Uint8Array[];
            session?: (sluice.v1alpha1.BrokerSession.$Properties|null);
            grants: string[];
            generation: number;
            changed: boolean;
            elapsedMs: number;
            static create(properties: sluice.v1alpha1.OpenSessionResponse.$Shape): sluice.v1alpha1.OpenSessionResponse & sluice.v1alpha1.OpenSessionResponse.$Shape;
            static create(properties?: sluice.v1alpha1.OpenSessionResponse.$Properties): sluice.v1alpha1.OpenSessionResponse;
            static encode(message: sluice.v1alpha1.OpenSessionResponse.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.OpenSessionResponse & sluice.v1alpha1.OpenSessionResponse.$Shape;
        }

        namespace OpenSessionResponse {
            interface $Properties {
                session?: (sluice.v1alpha1.BrokerSession.$Properties|null);
                grants?: (string[]|null);
                generation?: (number|null);
                changed?: (boolean|null);
                elapsedMs?: (number|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.OpenSessionResponse.$Properties;
        }

        interface ICloseSessionRequest extends sluice.v1alpha1.CloseSessionRequest.$Properties {
        }

        class CloseSessionRequest {
            constructor(properties?: sluice.v1alpha1.CloseSessionRequest.$Properties);
            $unknowns?: Uint8Array[];
            workspace: string;
            sessionId: string;
            static create(properties: sluice.v1alpha1.CloseSessionRequest.$Shape): sluice.v1alpha1.CloseSessionRequest & sluice.v1alpha1.CloseSessionRequest.$Shape;
            static create(properties?: sluice.v1alpha1.CloseSessionRequest.$Properties): sluice.v1alpha1.CloseSessionRequest;
            static encode(message: sluice.v1alpha1.CloseSessionRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.CloseSessionRequest & sluice.v1alpha1.CloseSessionRequest.$Shape;
        }

        namespace CloseSessionRequest {
            interface $Properties {
                workspace?: (string|null);
                sessionId?: (string|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.CloseSessionRequest.$Properties;
        }

        interface ICloseSessionResponse extends sluice.v1alpha1.CloseSessionResponse.$Properties {
        }

        class CloseSessionResponse {
            constructor(properties?: sluice.v1alpha1.CloseSessionResponse.$Properties);
            $unknowns?: Uint8Array[];
            session?: (sluice.v1alpha1.BrokerSession.$Properties|null);
            changed: boolean;
            elapsedMs: number;
            static create(properties: sluice.v1alpha1.CloseSessionResponse.$Shape): sluice.v1alpha1.CloseSessionResponse & sluice.v1alpha1.CloseSessionResponse.$Shape;
            static create(properties?: sluice.v1alpha1.CloseSessionResponse.$Properties): sluice.v1alpha1.CloseSessionResponse;
            static encode(message: sluice.v1alpha1.CloseSessionResponse.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.CloseSessionResponse & sluice.v1alpha1.CloseSessionResponse.$Shape;
        }

        namespace CloseSessionResponse {
            interface $Properties {
                session?: (sluice.v1alpha1.BrokerSession.$Properties|null);
                changed?: (boolean|null);
                elapsedMs?: (number|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.CloseSessionResponse.$Properties;
        }

        interface IListSessionsRequest extends sluice.v1alpha1.ListSessionsRequest.$Properties {
        }

        class ListSessionsRequest {
            constructor(properties?: sluice.v1alpha1.ListSessionsRequest.$Properties);
            $unknowns?: Uint8Array[];
            workspace: string;
            static create(properties: sluice.v1alpha1.ListSessionsRequest.$Shape): sluice.v1alpha1.ListSessionsRequest & sluice.v1alpha1.ListSessionsRequest.$Shape;
            static create(properties?: sluice.v1alpha1.ListSessionsRequest.$Properties): sluice.v1alpha1.ListSessionsRequest;
            static encode(message: sluice.v1alpha1.ListSessionsRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.ListSessionsRequest & sluice.v1alpha1.ListSessionsRequest.$Shape;
        }

        namespace ListSessionsRequest {
            interface $Properties {
                workspace?: (string|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.ListSessionsRequest.$Properties;
        }

        interface IListSessionsResponse extends sluice.v1alpha1.ListSessionsResponse.$Properties {
        }

        class ListSessionsResponse {
            constructor(properties?: sluice.v1alpha1.ListSessionsResponse.$Properties);
            $unknowns?: Uint8Array[];
            sessions: sluice.v1alpha1.BrokerSession.$Properties[];
            static create(properties: sluice.v1alpha1.ListSessionsResponse.$Shape): sluice.v1alpha1.ListSessionsResponse & sluice.v1alpha1.ListSessionsResponse.$Shape;
            static create(properties?: sluice.v1alpha1.ListSessionsResponse.$Properties): sluice.v1alpha1.ListSessionsResponse;
            static encode(message: sluice.v1alpha1.ListSessionsResponse.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.ListSessionsResponse & sluice.v1alpha1.ListSessionsResponse.$Shape;
        }

        namespace ListSessionsResponse {
            interface $Properties {
                sessions?: (sluice.v1alpha1.BrokerSession.$Properties[]|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.ListSessionsResponse.$Properties;
        }

        interface IBrokerSession extends sluice.v1alpha1.BrokerSession.$Properties {
        }

        class BrokerSession {
            constructor(properties?: sluice.v1alpha1.BrokerSession.$Properties);
            $unknowns?: Uint8Array[];
            workspace: string;
            sessionId: string;
            user: string;
            peer: string;
            by: string;
            openedAtMs: number;
            expiresAtMs: number;
            ended: string;
            endedAtMs: number;
            static create(properties: sluice.v1alpha1.BrokerSession.$Shape): sluice.v1alpha1.BrokerSession & sluice.v1alpha1.BrokerSession.$Shape;
            static create(properties?: sluice.v1alpha1.BrokerSession.$Properties): sluice.v1alpha1.BrokerSession;
            static encode(message: sluice.v1alpha1.BrokerSession.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.BrokerSession & sluice.v1alpha1.BrokerSession.$Shape;
        }

        namespace BrokerSession {
            interface $Properties {
                workspace?: (string|null);
                sessionId?: (string|null);
                user?: (string|null);
                peer?: (string|null);
                by?: (string|null);
                openedAtMs?: (number|null);
                expiresAtMs?: (number|null);
                ended?: (string|null);
                endedAtMs?: (number|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.BrokerSession.$Properties;
        }

        interface IDetachRequest extends sluice.v1alpha1.DetachRequest.$Properties {
        }

        class DetachRequest {
            constructor(properties?: sluice.v1alpha1.DetachRequest.$Properties);
            $unknowns?: Uint8Array[];
            workspace: string;
            leaseGeneration: number;
            static create(properties: sluice.v1alpha1.DetachRequest.$Shape): sluice.v1alpha1.DetachRequest & sluice.v1alpha1.DetachRequest.$Shape;
            static create(properties?: sluice.v1alpha1.DetachRequest.$Properties): sluice.v1alpha1.DetachRequest;
            static encode(message: sluice.v1alpha1.DetachRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.DetachRequest & sluice.v1alpha1.DetachRequest.$Shape;
        }

        namespace DetachRequest {
            interface $Properties {
                workspace?: (string|null);
                leaseGeneration?: (number|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.DetachRequest.$Properties;
        }

        interface IDetachResponse extends sluice.v1alpha1.DetachResponse.$Properties {
        }

        class DetachResponse {
            constructor(properties?: sluice.v1alpha1.DetachResponse.$Properties);
            $unknowns?: Uint8Array[];
            generation: number;
            elapsedMs: number;
            static create(properties: sluice.v1alpha1.DetachResponse.$Shape): sluice.v1alpha1.DetachResponse & sluice.v1alpha1.DetachResponse.$Shape;
            static create(properties?: sluice.v1alpha1.DetachResponse.$Properties): sluice.v1alpha1.DetachResponse;
            static encode(message: sluice.v1alpha1.DetachResponse.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.DetachResponse & sluice.v1alpha1.DetachResponse.$Shape;
        }

        namespace DetachResponse {
            interface $Properties {
                generation?: (number|null);
                elapsedMs?: (number|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.DetachResponse.$Properties;
        }

        interface IListAttachmentsRequest extends sluice.v1alpha1.ListAttachmentsRequest.$Properties {
        }

        class ListAttachmentsRequest {
            constructor(properties?: sluice.v1alpha1.ListAttachmentsRequest.$Properties);
            $unknowns?: Uint8Array[];
            static create(properties: sluice.v1alpha1.ListAttachmentsRequest.$Shape): sluice.v1alpha1.ListAttachmentsRequest & sluice.v1alpha1.ListAttachmentsRequest.$Shape;
            static create(properties?: sluice.v1alpha1.ListAttachmentsRequest.$Properties): sluice.v1alpha1.ListAttachmentsRequest;
            static encode(message: sluice.v1alpha1.ListAttachmentsRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.ListAttachmentsRequest & sluice.v1alpha1.ListAttachmentsRequest.$Shape;
        }

        namespace ListAttachmentsRequest {
            interface $Properties {
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.ListAttachmentsRequest.$Properties;
        }

        interface IListAttachmentsResponse extends sluice.v1alpha1.ListAttachmentsResponse.$Properties {
        }

        class ListAttachmentsResponse {
            constructor(properties?: sluice.v1alpha1.ListAttachmentsResponse.$Properties);
            $unknowns?: Uint8Array[];
            attachments: sluice.v1alpha1.Attachment.$Properties[];
            static create(properties: sluice.v1alpha1.ListAttachmentsResponse.$Shape): sluice.v1alpha1.ListAttachmentsResponse & sluice.v1alpha1.ListAttachmentsResponse.$Shape;
            static create(properties?: sluice.v1alpha1.ListAttachmentsResponse.$Properties): sluice.v1alpha1.ListAttachmentsResponse;
            static encode(message: sluice.v1alpha1.ListAttachmentsResponse.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.ListAttachmentsResponse & sluice.v1alpha1.ListAttachmentsResponse.$Shape;
        }

        namespace ListAttachmentsResponse {
            interface $Properties {
                attachments?: (sluice.v1alpha1.Attachment.$Properties[]|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.ListAttachmentsResponse.$Properties;
        }

        interface ICheckFlowRequest extends sluice.v1alpha1.CheckFlowRequest.$Properties {
        }

        class CheckFlowRequest {
            constructor(properties?: sluice.v1alpha1.CheckFlowRequest.$Properties);
            $unknowns?: Uint8Array[];
            workspace: string;
            protocol: sluice.v1alpha1.Protocol;
            source: string;
            sourcePort: number;
            destination: string;
            destinationPort: number;
            static create(properties: sluice.v1alpha1.CheckFlowRequest.$Shape): sluice.v1alpha1.CheckFlowRequest & sluice.v1alpha1.CheckFlowRequest.$Shape;
            static create(properties?: sluice.v1alpha1.CheckFlowRequest.$Properties): sluice.v1alpha1.CheckFlowRequest;
            static encode(message: sluice.v1alpha1.CheckFlowRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.CheckFlowRequest & sluice.v1alpha1.CheckFlowRequest.$Shape;
        }

        namespace CheckFlowRequest {
            interface $Properties {
                workspace?: (string|null);
                protocol?: (sluice.v1alpha1.Protocol|null);
                source?: (string|null);
                sourcePort?: (number|null);
                destination?: (string|null);
                destinationPort?: (number|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.CheckFlowRequest.$Properties;
        }

        enum Protocol {
            PROTOCOL_UNSPECIFIED = 0,
            PROTOCOL_TCP = 1,
            PROTOCOL_UDP = 2,
            PROTOCOL_ICMP_ECHO = 3
        }

        interface ICheckFlowResponse extends sluice.v1alpha1.CheckFlowResponse.$Properties {
        }

        class CheckFlowResponse {
            constructor(properties?: sluice.v1alpha1.CheckFlowResponse.$Properties);
            $unknowns?: Uint8Array[];
            allowed: boolean;
            reason: string;
            clause: string;
            generation: number;
            static create(properties: sluice.v1alpha1.CheckFlowResponse.$Shape): sluice.v1alpha1.CheckFlowResponse & sluice.v1alpha1.CheckFlowResponse.$Shape;
            static create(properties?: sluice.v1alpha1.CheckFlowResponse.$Properties): sluice.v1alpha1.CheckFlowResponse;
            static encode(message: sluice.v1alpha1.CheckFlowResponse.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.CheckFlowResponse & sluice.v1alpha1.CheckFlowResponse.$Shape;
        }

        namespace CheckFlowResponse {
            interface $Properties {
                allowed?: (boolean|null);
                reason?: (string|null);
                clause?: (string|null);
                generation?: (number|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.CheckFlowResponse.$Properties;
        }

        interface ICheckActionRequest extends sluice.v1alpha1.CheckActionRequest.$Properties {
        }

        class CheckActionRequest {
            constructor(properties?: sluice.v1alpha1.CheckActionRequest.$Properties);
            $unknowns?: Uint8Array[];
            workspace: string;
            question: Uint8Array;
            audience: string;
            nonce: Uint8Array;
            static create(properties: sluice.v1alpha1.CheckActionRequest.$Shape): sluice.v1alpha1.CheckActionRequest & sluice.v1alpha1.CheckActionRequest.$Shape;
            static create(properties?: sluice.v1alpha1.CheckActionRequest.$Properties): sluice.v1alpha1.CheckActionRequest;
            static encode(message: sluice.v1alpha1.CheckActionRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.CheckActionRequest & sluice.v1alpha1.CheckActionRequest.$Shape;
        }

        namespace CheckActionRequest {
            interface $Properties {
                workspace?: (string|null);
                question?: (Uint8Array|null);
                audience?: (string|null);
                nonce?: (Uint8Array|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.CheckActionRequest.$Properties;
        }

        interface ICheckActionResponse extends sluice.v1alpha1.CheckActionResponse.$Properties {
        }

        class CheckActionResponse {
            constructor(properties?: sluice.v1alpha1.CheckActionResponse.$Properties);
            $unknowns?: Uint8Array[];
            allowed: boolean;
            reason: string;
            clause: string;
            place: string;
            obligations: sluice.v1alpha1.Obligation.$Properties[];
            bundleDigest: string;
            generation: number;
            attestation: Uint8Array;
            authority?: (sluice.v1alpha1.Authority.$Properties|null);
            static create(properties: sluice.v1alpha1.CheckActionResponse.$Shape): sluice.v1alpha1.CheckActionResponse & sluice.v1alpha1.CheckActionResponse.$Shape;
            static create(properties?: sluice.v1alpha1.CheckActionResponse.$Properties): sluice.v1alpha1.CheckActionResponse;
            static encode(message: sluice.v1alpha1.CheckActionResponse.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.CheckActionResponse & sluice.v1alpha1.CheckActionResponse.$Shape;
        }

        namespace CheckActionResponse {
            interface $Properties {
                allowed?: (boolean|null);
                reason?: (string|null);
                clause?: (string|null);
                place?: (string|null);
                obligations?: (sluice.v1alpha1.Obligation.$Properties[]|null);
                bundleDigest?: (string|null);
                generation?: (number|null);
                attestation?: (Uint8Array|null);
                authority?: (sluice.v1alpha1.Authority.$Properties|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.CheckActionResponse.$Properties;
        }

        interface IAuthority extends sluice.v1alpha1.Authority.$Properties {
        }

        class Authority {
            constructor(properties?: sluice.v1alpha1.Authority.$Properties);
            $unknowns?: Uint8Array[];
            agentId: string;
            sponsor: string;
            taskId: string;
            expiresAtMs: number;
            static create(properties: sluice.v1alpha1.Authority.$Shape): sluice.v1alpha1.Authority & sluice.v1alpha1.Authority.$Shape;
            static create(properties?: sluice.v1alpha1.Authority.$Properties): sluice.v1alpha1.Authority;
            static encode(message: sluice.v1alpha1.Authority.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.Authority & sluice.v1alpha1.Authority.$Shape;
        }

        namespace Authority {
            interface $Properties {
                agentId?: (string|null);
                sponsor?: (string|null);
                taskId?: (string|null);
                expiresAtMs?: (number|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.Authority.$Properties;
        }

        interface IObligation extends sluice.v1alpha1.Obligation.$Properties {
        }

        class Obligation {
            constructor(properties?: sluice.v1alpha1.Obligation.$Properties);
            $unknowns?: Uint8Array[];
            kind: string;
            values: string[];
            static create(properties: sluice.v1alpha1.Obligation.$Shape): sluice.v1alpha1.Obligation & sluice.v1alpha1.Obligation.$Shape;
            static create(properties?: sluice.v1alpha1.Obligation.$Properties): sluice.v1alpha1.Obligation;
            static encode(message: sluice.v1alpha1.Obligation.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.Obligation & sluice.v1alpha1.Obligation.$Shape;
        }

        namespace Obligation {
            interface $Properties {
                kind?: (string|null);
                values?: (string[]|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.Obligation.$Properties;
        }

        interface IMakeEvidenceRequest extends sluice.v1alpha1.MakeEvidenceRequest.$Properties {
        }

        class MakeEvidenceRequest {
            constructor(properties?: sluice.v1alpha1.MakeEvidenceRequest.$Properties);
            $unknowns?: Uint8Array[];
            nonce: Uint8Array;
            audience: string;
            static create(properties: sluice.v1alpha1.MakeEvidenceRequest.$Shape): sluice.v1alpha1.MakeEvidenceRequest & sluice.v1alpha1.MakeEvidenceRequest.$Shape;
            static create(properties?: sluice.v1alpha1.MakeEvidenceRequest.$Properties): sluice.v1alpha1.MakeEvidenceRequest;
            static encode(message: sluice.v1alpha1.MakeEvidenceRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.MakeEvidenceRequest & sluice.v1alpha1.MakeEvidenceRequest.$Shape;
        }

        namespace MakeEvidenceRequest {
            interface $Properties {
                nonce?: (Uint8Array|null);
                audience?: (string|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.MakeEvidenceRequest.$Properties;
        }

        interface IMakeEvidenceResponse extends sluice.v1alpha1.MakeEvidenceResponse.$Properties {
        }

        class MakeEvidenceResponse {
            constructor(properties?: sluice.v1alpha1.MakeEvidenceResponse.$Properties);
            $unknowns?: Uint8Array[];
            evidence: Uint8Array;
            static create(properties: sluice.v1alpha1.MakeEvidenceResponse.$Shape): sluice.v1alpha1.MakeEvidenceResponse & sluice.v1alpha1.MakeEvidenceResponse.$Shape;
            static create(properties?: sluice.v1alpha1.MakeEvidenceResponse.$Properties): sluice.v1alpha1.MakeEvidenceResponse;
            static encode(message: sluice.v1alpha1.MakeEvidenceResponse.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.MakeEvidenceResponse & sluice.v1alpha1.MakeEvidenceResponse.$Shape;
        }

        namespace MakeEvidenceResponse {
            interface $Properties {
                evidence?: (Uint8Array|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.MakeEvidenceResponse.$Properties;
        }

        interface IGetTrailRequest extends sluice.v1alpha1.GetTrailRequest.$Properties {
        }

        class GetTrailRequest {
            constructor(properties?: sluice.v1alpha1.GetTrailRequest.$Properties);
            $unknowns?: Uint8Array[];
            static create(properties: sluice.v1alpha1.GetTrailRequest.$Shape): sluice.v1alpha1.GetTrailRequest & sluice.v1alpha1.GetTrailRequest.$Shape;
            static create(properties?: sluice.v1alpha1.GetTrailRequest.$Properties): sluice.v1alpha1.GetTrailRequest;
            static encode(message: sluice.v1alpha1.GetTrailRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.GetTrailRequest & sluice.v1alpha1.GetTrailRequest.$Shape;
        }

        namespace GetTrailRequest {
            interface $Properties {
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.GetTrailRequest.$Properties;
        }

        interface IGetTrailResponse extends sluice.v1alpha1.GetTrailResponse.$Properties {
        }

        class GetTrailResponse {
            constructor(properties?: sluice.v1alpha1.GetTrailResponse.$Properties);
            $unknowns?: Uint8Array[];
            chainUid: string;
            firstSequence: number;
            lastSequence: number;
            fingerprint: string;
            lost: number;
            static create(properties: sluice.v1alpha1.GetTrailResponse.$Shape): sluice.v1alpha1.GetTrailResponse & sluice.v1alpha1.GetTrailResponse.$Shape;
            static create(properties?: sluice.v1alpha1.GetTrailResponse.$Properties): sluice.v1alpha1.GetTrailResponse;
            static encode(message: sluice.v1alpha1.GetTrailResponse.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.GetTrailResponse & sluice.v1alpha1.GetTrailResponse.$Shape;
        }

        namespace GetTrailResponse {
            interface $Properties {
                chainUid?: (string|null);
                firstSequence?: (number|null);
                lastSequence?: (number|null);
                fingerprint?: (string|null);
                lost?: (number|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.GetTrailResponse.$Properties;
        }

        interface IStreamEventsRequest extends sluice.v1alpha1.StreamEventsRequest.$Properties {
        }

        class StreamEventsRequest {
            constructor(properties?: sluice.v1alpha1.StreamEventsRequest.$Properties);
            $unknowns?: Uint8Array[];
            afterSequence: number;
            chainUid: string;
            static create(properties: sluice.v1alpha1.StreamEventsRequest.$Shape): sluice.v1alpha1.StreamEventsRequest & sluice.v1alpha1.StreamEventsRequest.$Shape;
            static create(properties?: sluice.v1alpha1.StreamEventsRequest.$Properties): sluice.v1alpha1.StreamEventsRequest;
            static encode(message: sluice.v1alpha1.StreamEventsRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.StreamEventsRequest & sluice.v1alpha1.StreamEventsRequest.$Shape;
        }

        namespace StreamEventsRequest {
            interface $Properties {
                afterSequence?: (number|null);
                chainUid?: (string|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.StreamEventsRequest.$Properties;
        }

        interface IStreamEventsResponse extends sluice.v1alpha1.StreamEventsResponse.$Properties {
        }

        class StreamEventsResponse {
            constructor(properties?: sluice.v1alpha1.StreamEventsResponse.$Properties);
            $unknowns?: Uint8Array[];
            sequence: number;
            event: Uint8Array;
            static create(properties: sluice.v1alpha1.StreamEventsResponse.$Shape): sluice.v1alpha1.StreamEventsResponse & sluice.v1alpha1.StreamEventsResponse.$Shape;
            static create(properties?: sluice.v1alpha1.StreamEventsResponse.$Properties): sluice.v1alpha1.StreamEventsResponse;
            static encode(message: sluice.v1alpha1.StreamEventsResponse.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.StreamEventsResponse & sluice.v1alpha1.StreamEventsResponse.$Shape;
        }

        namespace StreamEventsResponse {
            interface $Properties {
                sequence?: (number|null);
                event?: (Uint8Array|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.StreamEventsResponse.$Properties;
        }

        enum Operation {
            OPERATION_UNSPECIFIED = 0,
            OPERATION_CREATE = 1,
            OPERATION_START = 2,
            OPERATION_STOP = 3,
            OPERATION_REBAKE = 4,
            OPERATION_REVOKE = 5,
            OPERATION_DELETE = 6
        }

        interface IProfile extends sluice.v1alpha1.Profile.$Properties {
        }

        class Profile {
            constructor(properties?: sluice.v1alpha1.Profile.$Properties);
            $unknowns?: Uint8Array[];
            user: string;
            session: string;
            image: string;
            cpus: number;
            memoryMib: number;
            network: string;
            channel: string;
            baseline: boolean;
            volumes: string[];
            device: string;
            static create(properties: sluice.v1alpha1.Profile.$Shape): sluice.v1alpha1.Profile & sluice.v1alpha1.Profile.$Shape;
            static create(properties?: sluice.v1alpha1.Profile.$Properties): sluice.v1alpha1.Profile;
            static encode(message: sluice.v1alpha1.Profile.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.Profile & sluice.v1alpha1.Profile.$Shape;
        }

        namespace Profile {
            interface $Properties {
                user?: (string|null);
                session?: (string|null);
                image?: (string|null);
                cpus?: (number|null);
                memoryMib?: (number|null);
                network?: (string|null);
                channel?: (string|null);
                baseline?: (boolean|null);
                volumes?: (string[]|null);
                device?: (string|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.Profile.$Properties;
        }

        interface IChangeWorkspaceRequest extends sluice.v1alpha1.ChangeWorkspaceRequest.$Properties {
        }

        class ChangeWorkspaceRequest {
            constructor(properties?: sluice.v1alpha1.ChangeWorkspaceRequest.$Properties);
            $unknowns?: Uint8Array[];
            requestId: string;
            operation: sluice.v1alpha1.Operation;
            workspace: string;
            reason: string;
            profile?: (sluice.v1alpha1.Profile.$Properties|null);
            static create(properties: sluice.v1alpha1.ChangeWorkspaceRequest.$Shape): sluice.v1alpha1.ChangeWorkspaceRequest & sluice.v1alpha1.ChangeWorkspaceRequest.$Shape;
            static create(properties?: sluice.v1alpha1.ChangeWorkspaceRequest.$Properties): sluice.v1alpha1.ChangeWorkspaceRequest;
            static encode(message: sluice.v1alpha1.ChangeWorkspaceRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.ChangeWorkspaceRequest & sluice.v1alpha1.ChangeWorkspaceRequest.$Shape;
        }

        namespace ChangeWorkspaceRequest {
            interface $Properties {
                requestId?: (string|null);
                operation?: (sluice.v1alpha1.Operation|null);
                workspace?: (string|null);
                reason?: (string|null);
                profile?: (sluice.v1alpha1.Profile.$Properties|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.ChangeWorkspaceRequest.$Properties;
        }

        interface IChangeWorkspaceResponse extends sluice.v1alpha1.ChangeWorkspaceResponse.$Properties {
        }

        class ChangeWorkspaceResponse {
            constructor(properties?: sluice.v1alpha1.ChangeWorkspaceResponse.$Properties);
            $unknowns?: Uint8Array[];
            step?: (sluice.v1alpha1.StepDone.$Properties|null);
            outcome?: (sluice.v1alpha1.WorkspaceOutcome.$Properties|null);
            told?: ("step"|"outcome");
            static create(properties: sluice.v1alpha1.ChangeWorkspaceResponse.$Shape): sluice.v1alpha1.ChangeWorkspaceResponse & sluice.v1alpha1.ChangeWorkspaceResponse.$Shape;
            static create(properties?: sluice.v1alpha1.ChangeWorkspaceResponse.$Properties): sluice.v1alpha1.ChangeWorkspaceResponse;
            static encode(message: sluice.v1alpha1.ChangeWorkspaceResponse.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.ChangeWorkspaceResponse & sluice.v1alpha1.ChangeWorkspaceResponse.$Shape;
        }

        namespace ChangeWorkspaceResponse {
            interface $Properties {
                step?: (sluice.v1alpha1.StepDone.$Properties|null);
                outcome?: (sluice.v1alpha1.WorkspaceOutcome.$Properties|null);
                told?: ("step"|"outcome");
                $unknowns?: Uint8Array[];
            }
            type $Shape = {
              step?: sluice.v1alpha1.StepDone.$Shape|null;
              outcome?: sluice.v1alpha1.WorkspaceOutcome.$Shape|null;
              $unknowns?: Uint8Array[];
            } & (
              ({ told?: undefined; step?: null; outcome?: null }|{ told?: "step"; step: sluice.v1alpha1.StepDone.$Shape; outcome?: null }|{ told?: "outcome"; step?: null; outcome: sluice.v1alpha1.WorkspaceOutcome.$Shape })
            );
        }

        interface IStepDone extends sluice.v1alpha1.StepDone.$Properties {
        }

        class StepDone {
            constructor(properties?: sluice.v1alpha1.StepDone.$Properties);
            $unknowns?: Uint8Array[];
            step: string;
            atMs: number;
            elapsedMs: number;
            outcome: string;
            why: string;
            what: string;
            receipt: string;
            static create(properties: sluice.v1alpha1.StepDone.$Shape): sluice.v1alpha1.StepDone & sluice.v1alpha1.StepDone.$Shape;
            static create(properties?: sluice.v1alpha1.StepDone.$Properties): sluice.v1alpha1.StepDone;
            static encode(message: sluice.v1alpha1.StepDone.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.StepDone & sluice.v1alpha1.StepDone.$Shape;
        }

        namespace StepDone {
            interface $Properties {
                step?: (string|null);
                atMs?: (number|null);
                elapsedMs?: (number|null);
                outcome?: (string|null);
                why?: (string|null);
                what?: (string|null);
                receipt?: (string|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.StepDone.$Properties;
        }

        interface IWorkspaceOutcome extends sluice.v1alpha1.WorkspaceOutcome.$Properties {
        }

        class WorkspaceOutcome {
            constructor(properties?: sluice.v1alpha1.WorkspaceOutcome.$Properties);
            $unknowns?: Uint8Array[];
            state: string;
            steps: sluice.v1alpha1.StepDone.$Properties[];
            owed: string[];
            elapsedMs: number;
            static create(properties: sluice.v1alpha1.WorkspaceOutcome.$Shape): sluice.v1alpha1.WorkspaceOutcome & sluice.v1alpha1.WorkspaceOutcome.$Shape;
            static create(properties?: sluice.v1alpha1.WorkspaceOutcome.$Properties): sluice.v1alpha1.WorkspaceOutcome;
            static encode(message: sluice.v1alpha1.WorkspaceOutcome.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.WorkspaceOutcome & sluice.v1alpha1.WorkspaceOutcome.$Shape;
        }

        namespace WorkspaceOutcome {
            interface $Properties {
                state?: (string|null);
                steps?: (sluice.v1alpha1.StepDone.$Properties[]|null);
                owed?: (string[]|null);
                elapsedMs?: (number|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.WorkspaceOutcome.$Properties;
        }

        interface IKillWorkspacesRequest extends sluice.v1alpha1.KillWorkspacesRequest.$Properties {
        }

        class KillWorkspacesRequest {
            constructor(properties?: sluice.v1alpha1.KillWorkspacesRequest.$Properties);
            $unknowns?: Uint8Array[];
            requestId: string;
            reason: string;
            workspace?: (string|null);
            user?: (string|null);
            image?: (string|null);
            everything?: (boolean|null);
            tellSteps: boolean;
            target?: ("workspace"|"user"|"image"|"everything");
            static create(properties: sluice.v1alpha1.KillWorkspacesRequest.$Shape): sluice.v1alpha1.KillWorkspacesRequest & sluice.v1alpha1.KillWorkspacesRequest.$Shape;
            static create(properties?: sluice.v1alpha1.KillWorkspacesRequest.$Properties): sluice.v1alpha1.KillWorkspacesRequest;
            static encode(message: sluice.v1alpha1.KillWorkspacesRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.KillWorkspacesRequest & sluice.v1alpha1.KillWorkspacesRequest.$Shape;
        }

        namespace KillWorkspacesRequest {
            interface $Properties {
                requestId?: (string|null);
                reason?: (string|null);
                workspace?: (string|null);
                user?: (string|null);
                image?: (string|null);
                everything?: (boolean|null);
                tellSteps?: (boolean|null);
                target?: ("workspace"|"user"|"image"|"everything");
                $unknowns?: Uint8Array[];
            }
            type $Shape = {
              requestId?: string|null;
              reason?: string|null;
              workspace?: string|null;
              user?: string|null;
              image?: string|null;
              everything?: boolean|null;
              tellSteps?: boolean|null;
              $unknowns?: Uint8Array[];
            } & (
              ({ target?: undefined; workspace?: null; user?: null; image?: null; everything?: null }|{ target?: "workspace"; workspace: string; user?: null; image?: null; everything?: null }|{ target?: "user"; workspace?: null; user: string; image?: null; everything?: null }|{ target?: "image"; workspace?: null; user?: null; image: string; everything?: null }|{ target?: "everything"; workspace?: null; user?: null; image?: null; everything: boolean })
            );
        }

        interface IKillWorkspacesResponse extends sluice.v1alpha1.KillWorkspacesResponse.$Properties {
        }

        class KillWorkspacesResponse {
            constructor(properties?: sluice.v1alpha1.KillWorkspacesResponse.$Properties);
            $unknowns?: Uint8Array[];
            report: Uint8Array;
            receipt: string;
            step?: (sluice.v1alpha1.StepDone.$Properties|null);
            workspace: string;
            static create(properties: sluice.v1alpha1.KillWorkspacesResponse.$Shape): sluice.v1alpha1.KillWorkspacesResponse & sluice.v1alpha1.KillWorkspacesResponse.$Shape;
            static create(properties?: sluice.v1alpha1.KillWorkspacesResponse.$Properties): sluice.v1alpha1.KillWorkspacesResponse;
            static encode(message: sluice.v1alpha1.KillWorkspacesResponse.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.KillWorkspacesResponse & sluice.v1alpha1.KillWorkspacesResponse.$Shape;
        }

        namespace KillWorkspacesResponse {
            interface $Properties {
                report?: (Uint8Array|null);
                receipt?: (string|null);
                step?: (sluice.v1alpha1.StepDone.$Properties|null);
                workspace?: (string|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.KillWorkspacesResponse.$Properties;
        }

        interface IListWorkspacesRequest extends sluice.v1alpha1.ListWorkspacesRequest.$Properties {
        }

        class ListWorkspacesRequest {
            constructor(properties?: sluice.v1alpha1.ListWorkspacesRequest.$Properties);
            $unknowns?: Uint8Array[];
            static create(properties: sluice.v1alpha1.ListWorkspacesRequest.$Shape): sluice.v1alpha1.ListWorkspacesRequest & sluice.v1alpha1.ListWorkspacesRequest.$Shape;
            static create(properties?: sluice.v1alpha1.ListWorkspacesRequest.$Properties): sluice.v1alpha1.ListWorkspacesRequest;
            static encode(message: sluice.v1alpha1.ListWorkspacesRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.ListWorkspacesRequest & sluice.v1alpha1.ListWorkspacesRequest.$Shape;
        }

        namespace ListWorkspacesRequest {
            interface $Properties {
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.ListWorkspacesRequest.$Properties;
        }

        interface IListWorkspacesResponse extends sluice.v1alpha1.ListWorkspacesResponse.$Properties {
        }

        class ListWorkspacesResponse {
            constructor(properties?: sluice.v1alpha1.ListWorkspacesResponse.$Properties);
            $unknowns?: Uint8Array[];
            workspaces: sluice.v1alpha1.WorkspaceListed.$Properties[];
            streams: sluice.v1alpha1.StreamHeard.$Properties[];
            static create(properties: sluice.v1alpha1.ListWorkspacesResponse.$Shape): sluice.v1alpha1.ListWorkspacesResponse & sluice.v1alpha1.ListWorkspacesResponse.$Shape;
            static create(properties?: sluice.v1alpha1.ListWorkspacesResponse.$Properties): sluice.v1alpha1.ListWorkspacesResponse;
            static encode(message: sluice.v1alpha1.ListWorkspacesResponse.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.ListWorkspacesResponse & sluice.v1alpha1.ListWorkspacesResponse.$Shape;
        }

        namespace ListWorkspacesResponse {
            interface $Properties {
                workspaces?: (sluice.v1alpha1.WorkspaceListed.$Properties[]|null);
                streams?: (sluice.v1alpha1.StreamHeard.$Properties[]|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.ListWorkspacesResponse.$Properties;
        }

        interface IStreamHeard extends sluice.v1alpha1.StreamHeard.$Properties {
        }

        class StreamHeard {
            constructor(properties?: sluice.v1alpha1.StreamHeard.$Properties);
            $unknowns?: Uint8Array[];
            name: string;
            kind: string;
            standing: string;
            heardAtMs: number;
            taken: number;
            refused: number;
            error: string;
            static create(properties: sluice.v1alpha1.StreamHeard.$Shape): sluice.v1alpha1.StreamHeard & sluice.v1alpha1.StreamHeard.$Shape;
            static create(properties?: sluice.v1alpha1.StreamHeard.$Properties): sluice.v1alpha1.StreamHeard;
            static encode(message: sluice.v1alpha1.StreamHeard.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.StreamHeard & sluice.v1alpha1.StreamHeard.$Shape;
        }

        namespace StreamHeard {
            interface $Properties {
                name?: (string|null);
                kind?: (string|null);
                standing?: (string|null);
                heardAtMs?: (number|null);
                taken?: (number|null);
                refused?: (number|null);
                error?: (string|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.StreamHeard.$Properties;
        }

        interface IWorkspaceListed extends sluice.v1alpha1.WorkspaceListed.$Properties {
        }

        class WorkspaceListed {
            constructor(properties?: sluice.v1alpha1.WorkspaceListed.$Properties);
            $unknowns?: Uint8Array[];
            workspace: string;
            profile?: (sluice.v1alpha1.Profile.$Properties|null);
            state: string;
            machine: string;
            incarnation: number;
            image: string;
            leaseGeneration: number;
            owed: string[];
            doing: string;
            static create(properties: sluice.v1alpha1.WorkspaceListed.$Shape): sluice.v1alpha1.WorkspaceListed & sluice.v1alpha1.WorkspaceListed.$Shape;
            static create(properties?: sluice.v1alpha1.WorkspaceListed.$Properties): sluice.v1alpha1.WorkspaceListed;
            static encode(message: sluice.v1alpha1.WorkspaceListed.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.WorkspaceListed & sluice.v1alpha1.WorkspaceListed.$Shape;
        }

        namespace WorkspaceListed {
            interface $Properties {
                workspace?: (string|null);
                profile?: (sluice.v1alpha1.Profile.$Properties|null);
                state?: (string|null);
                machine?: (string|null);
                incarnation?: (number|null);
                image?: (string|null);
                leaseGeneration?: (number|null);
                owed?: (string[]|null);
                doing?: (string|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.WorkspaceListed.$Properties;
        }

        interface IReadConsoleRequest extends sluice.v1alpha1.ReadConsoleRequest.$Properties {
        }

        class ReadConsoleRequest {
            constructor(properties?: sluice.v1alpha1.ReadConsoleRequest.$Properties);
            $unknowns?: Uint8Array[];
            workspace: string;
            maxBytes: number;
            static create(properties: sluice.v1alpha1.ReadConsoleRequest.$Shape): sluice.v1alpha1.ReadConsoleRequest & sluice.v1alpha1.ReadConsoleRequest.$Shape;
            static create(properties?: sluice.v1alpha1.ReadConsoleRequest.$Properties): sluice.v1alpha1.ReadConsoleRequest;
            static encode(message: sluice.v1alpha1.ReadConsoleRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.ReadConsoleRequest & sluice.v1alpha1.ReadConsoleRequest.$Shape;
        }

        namespace ReadConsoleRequest {
            interface $Properties {
                workspace?: (string|null);
                maxBytes?: (number|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.ReadConsoleRequest.$Properties;
        }

        interface IReadConsoleResponse extends sluice.v1alpha1.ReadConsoleResponse.$Properties {
        }

        class ReadConsoleResponse {
            constructor(properties?: sluice.v1alpha1.ReadConsoleResponse.$Properties);
            $unknowns?: Uint8Array[];
            output: Uint8Array;
            static create(properties: sluice.v1alpha1.ReadConsoleResponse.$Shape): sluice.v1alpha1.ReadConsoleResponse & sluice.v1alpha1.ReadConsoleResponse.$Shape;
            static create(properties?: sluice.v1alpha1.ReadConsoleResponse.$Properties): sluice.v1alpha1.ReadConsoleResponse;
            static encode(message: sluice.v1alpha1.ReadConsoleResponse.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.ReadConsoleResponse & sluice.v1alpha1.ReadConsoleResponse.$Shape;
        }

        namespace ReadConsoleResponse {
            interface $Properties {
                output?: (Uint8Array|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.ReadConsoleResponse.$Properties;
        }

        interface IOpenBrokerSessionRequest extends sluice.v1alpha1.OpenBrokerSessionRequest.$Properties {
        }

        class OpenBrokerSessionRequest {
            constructor(properties?: sluice.v1alpha1.OpenBrokerSessionRequest.$Properties);
            $unknowns?: Uint8Array[];
            workspace: string;
            sessionId: string;
            user: string;
            peer: string;
            lifetimeMs: number;
            static create(properties: sluice.v1alpha1.OpenBrokerSessionRequest.$Shape): sluice.v1alpha1.OpenBrokerSessionRequest & sluice.v1alpha1.OpenBrokerSessionRequest.$Shape;
            static create(properties?: sluice.v1alpha1.OpenBrokerSessionRequest.$Properties): sluice.v1alpha1.OpenBrokerSessionRequest;
            static encode(message: sluice.v1alpha1.OpenBrokerSessionRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.OpenBrokerSessionRequest & sluice.v1alpha1.OpenBrokerSessionRequest.$Shape;
        }

        namespace OpenBrokerSessionRequest {
            interface $Properties {
                workspace?: (string|null);
                sessionId?: (string|null);
                user?: (string|null);
                peer?: (string|null);
                lifetimeMs?: (number|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.OpenBrokerSessionRequest.$Properties;
        }

        interface IOpenBrokerSessionResponse extends sluice.v1alpha1.OpenBrokerSessionResponse.$Properties {
        }

        class OpenBrokerSessionResponse {
            constructor(properties?: sluice.v1alpha1.OpenBrokerSessionResponse.$Properties);
            $unknowns?: Uint8Array[];
            session?: (sluice.v1alpha1.BrokerSessionSeen.$Properties|null);
            grants: string[];
            changed: boolean;
            elapsedMs: number;
            static create(properties: sluice.v1alpha1.OpenBrokerSessionResponse.$Shape): sluice.v1alpha1.OpenBrokerSessionResponse & sluice.v1alpha1.OpenBrokerSessionResponse.$Shape;
            static create(properties?: sluice.v1alpha1.OpenBrokerSessionResponse.$Properties): sluice.v1alpha1.OpenBrokerSessionResponse;
            static encode(message: sluice.v1alpha1.OpenBrokerSessionResponse.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.OpenBrokerSessionResponse & sluice.v1alpha1.OpenBrokerSessionResponse.$Shape;
        }

        namespace OpenBrokerSessionResponse {
            interface $Properties {
                session?: (sluice.v1alpha1.BrokerSessionSeen.$Properties|null);
                grants?: (string[]|null);
                changed?: (boolean|null);
                elapsedMs?: (number|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.OpenBrokerSessionResponse.$Properties;
        }

        interface ICloseBrokerSessionRequest extends sluice.v1alpha1.CloseBrokerSessionRequest.$Properties {
        }

        class CloseBrokerSessionRequest {
            constructor(properties?: sluice.v1alpha1.CloseBrokerSessionRequest.$Properties);
            $unknowns?: Uint8Array[];
            workspace: string;
            sessionId: string;
            static create(properties: sluice.v1alpha1.CloseBrokerSessionRequest.$Shape): sluice.v1alpha1.CloseBrokerSessionRequest & sluice.v1alpha1.CloseBrokerSessionRequest.$Shape;
            static create(properties?: sluice.v1alpha1.CloseBrokerSessionRequest.$Properties): sluice.v1alpha1.CloseBrokerSessionRequest;
            static encode(message: sluice.v1alpha1.CloseBrokerSessionRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.CloseBrokerSessionRequest & sluice.v1alpha1.CloseBrokerSessionRequest.$Shape;
        }

        namespace CloseBrokerSessionRequest {
            interface $Properties {
                workspace?: (string|null);
                sessionId?: (string|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.CloseBrokerSessionRequest.$Properties;
        }

        interface ICloseBrokerSessionResponse extends sluice.v1alpha1.CloseBrokerSessionResponse.$Properties {
        }

        class CloseBrokerSessionResponse {
            constructor(properties?: sluice.v1alpha1.CloseBrokerSessionResponse.$Properties);
            $unknowns?: Uint8Array[];
            session?: (sluice.v1alpha1.BrokerSessionSeen.$Properties|null);
            changed: boolean;
            elapsedMs: number;
            static create(properties: sluice.v1alpha1.CloseBrokerSessionResponse.$Shape): sluice.v1alpha1.CloseBrokerSessionResponse & sluice.v1alpha1.CloseBrokerSessionResponse.$Shape;
            static create(properties?: sluice.v1alpha1.CloseBrokerSessionResponse.$Properties): sluice.v1alpha1.CloseBrokerSessionResponse;
            static encode(message: sluice.v1alpha1.CloseBrokerSessionResponse.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.CloseBrokerSessionResponse & sluice.v1alpha1.CloseBrokerSessionResponse.$Shape;
        }

        namespace CloseBrokerSessionResponse {
            interface $Properties {
                session?: (sluice.v1alpha1.BrokerSessionSeen.$Properties|null);
                changed?: (boolean|null);
                elapsedMs?: (number|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.CloseBrokerSessionResponse.$Properties;
        }

        interface IListBrokerSessionsRequest extends sluice.v1alpha1.ListBrokerSessionsRequest.$Properties {
        }

        class ListBrokerSessionsRequest {
            constructor(properties?: sluice.v1alpha1.ListBrokerSessionsRequest.$Properties);
            $unknowns?: Uint8Array[];
            workspace: string;
            static create(properties: sluice.v1alpha1.ListBrokerSessionsRequest.$Shape): sluice.v1alpha1.ListBrokerSessionsRequest & sluice.v1alpha1.ListBrokerSessionsRequest.$Shape;
            static create(properties?: sluice.v1alpha1.ListBrokerSessionsRequest.$Properties): sluice.v1alpha1.ListBrokerSessionsRequest;
            static encode(message: sluice.v1alpha1.ListBrokerSessionsRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.ListBrokerSessionsRequest & sluice.v1alpha1.ListBrokerSessionsRequest.$Shape;
        }

        namespace ListBrokerSessionsRequest {
            interface $Properties {
                workspace?: (string|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.ListBrokerSessionsRequest.$Properties;
        }

        interface IListBrokerSessionsResponse extends sluice.v1alpha1.ListBrokerSessionsResponse.$Properties {
        }

        class ListBrokerSessionsResponse {
            constructor(properties?: sluice.v1alpha1.ListBrokerSessionsResponse.$Properties);
            $unknowns?: Uint8Array[];
            sessions: sluice.v1alpha1.BrokerSessionSeen.$Properties[];
            static create(properties: sluice.v1alpha1.ListBrokerSessionsResponse.$Shape): sluice.v1alpha1.ListBrokerSessionsResponse & sluice.v1alpha1.ListBrokerSessionsResponse.$Shape;
            static create(properties?: sluice.v1alpha1.ListBrokerSessionsResponse.$Properties): sluice.v1alpha1.ListBrokerSessionsResponse;
            static encode(message: sluice.v1alpha1.ListBrokerSessionsResponse.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.ListBrokerSessionsResponse & sluice.v1alpha1.ListBrokerSessionsResponse.$Shape;
        }

        namespace ListBrokerSessionsResponse {
            interface $Properties {
                sessions?: (sluice.v1alpha1.BrokerSessionSeen.$Properties[]|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.ListBrokerSessionsResponse.$Properties;
        }

        interface IBrokerSessionSeen extends sluice.v1alpha1.BrokerSessionSeen.$Properties {
        }

        class BrokerSessionSeen {
            constructor(properties?: sluice.v1alpha1.BrokerSessionSeen.$Properties);
            $unknowns?: Uint8Array[];
            workspace: string;
            sessionId: string;
            user: string;
            peer: string;
            by: string;
            openedAtMs: number;
            expiresAtMs: number;
            ended: string;
            endedAtMs: number;
            static create(properties: sluice.v1alpha1.BrokerSessionSeen.$Shape): sluice.v1alpha1.BrokerSessionSeen & sluice.v1alpha1.BrokerSessionSeen.$Shape;
            static create(properties?: sluice.v1alpha1.BrokerSessionSeen.$Properties): sluice.v1alpha1.BrokerSessionSeen;
            static encode(message: sluice.v1alpha1.BrokerSessionSeen.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): sluice.v1alpha1.BrokerSessionSeen & sluice.v1alpha1.BrokerSessionSeen.$Shape;
        }

        namespace BrokerSessionSeen {
            interface $Properties {
                workspace?: (string|null);
                sessionId?: (string|null);
                user?: (string|null);
                peer?: (string|null);
                by?: (string|null);
                openedAtMs?: (number|null);
                expiresAtMs?: (number|null);
                ended?: (string|null);
                endedAtMs?: (number|null);
                $unknowns?: Uint8Array[];
            }
            type $Shape = sluice.v1alpha1.BrokerSessionSeen.$Properties;
        }
    }
}
