//! The numbers of RFC 7143 that have names: open newtypes, so that an unknown number survives and prints as itself.
//!
//! Not here: what the numbers lead to. Each type is a row per name; the order is that of the standard.

use core::fmt;

/// Declares an open enum: `codes! { /// Doc.\n Kind(u8) { /// Doc.\n ONE = 1 "one", } }` gives `struct Kind(pub u8)` with
/// `Kind::ONE`, conversions from and to `u8`, and `Display` and `Debug` that say `one`, or the number if it has no name.
macro_rules! codes {
    ($(#[$doc:meta])* $name:ident($int:ty) { $($(#[$row_doc:meta])* $row:ident = $value:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub $int);

        impl $name {
            $($(#[$row_doc])* pub const $row: Self = Self($value);)*

            /// The standard's name, if the number has one.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($text),)*
                    _ => None,
                }
            }
        }

        impl From<$int> for $name {
            fn from(value: $int) -> Self {
                Self(value)
            }
        }

        impl From<$name> for $int {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, "{}({:#04x})", stringify!($name), self.0),
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

codes! {
    /// What kind of PDU a header begins.
    //= RFC 7143 "Opcode"
    Opcode(u8) {
        /// To a target: ping, or answer to one.
        NOP_OUT = 0x00 "NOP-Out",
        /// To a target: a SCSI command.
        SCSI_COMMAND = 0x01 "SCSI Command",
        /// To a target: a task management function.
        TASK_MANAGEMENT_REQUEST = 0x02 "Task Management Function Request",
        /// To a target: login.
        LOGIN_REQUEST = 0x03 "Login Request",
        /// To a target: text.
        TEXT_REQUEST = 0x04 "Text Request",
        /// To a target: data of a write.
        SCSI_DATA_OUT = 0x05 "SCSI Data-Out",
        /// To a target: logout.
        LOGOUT_REQUEST = 0x06 "Logout Request",
        /// To a target: selective acknowledgement.
        SNACK_REQUEST = 0x10 "SNACK Request",
        /// To an initiator: ping, or answer to one.
        NOP_IN = 0x20 "NOP-In",
        /// To an initiator: a command's end.
        SCSI_RESPONSE = 0x21 "SCSI Response",
        /// To an initiator: a task management function's end.
        TASK_MANAGEMENT_RESPONSE = 0x22 "Task Management Function Response",
        /// To an initiator: login.
        LOGIN_RESPONSE = 0x23 "Login Response",
        /// To an initiator: text.
        TEXT_RESPONSE = 0x24 "Text Response",
        /// To an initiator: data of a read.
        SCSI_DATA_IN = 0x25 "SCSI Data-In",
        /// To an initiator: logout.
        LOGOUT_RESPONSE = 0x26 "Logout Response",
        /// To an initiator: the target wants data.
        R2T = 0x31 "Ready To Transfer",
        /// To an initiator: something happened.
        ASYNC_MESSAGE = 0x32 "Asynchronous Message",
        /// To an initiator: a PDU was not accepted.
        REJECT = 0x3f "Reject",
    }
}

codes! {
    /// How a command stands to the others of its task set.
    //= RFC 7143 "Flags and Task Attributes (Byte 1)"
    TaskAttribute(u8) {
        /// No attribute.
        UNTAGGED = 0 "Untagged",
        /// Any order.
        SIMPLE = 1 "Simple",
        /// After all before it.
        ORDERED = 2 "Ordered",
        /// Before all others.
        HEAD_OF_QUEUE = 3 "Head of queue",
        /// For an auto contingent allegiance.
        ACA = 4 "ACA",
    }
}

codes! {
    /// What a SCSI Response says about the command's delivery.
    //= RFC 7143 "Response"
    ScsiResponseCode(u8) {
        /// The SCSI status is valid.
        COMPLETED = 0x00 "Command completed at target",
        /// The target failed below SCSI.
        TARGET_FAILURE = 0x01 "Target failure",
    }
}

codes! {
    /// Task management functions.
    //= RFC 7143 "Function"
    //= RFC 7144 "Existing Task Management Functions"
    TaskManagementFunction(u8) {
        /// One task.
        ABORT_TASK = 1 "ABORT TASK",
        /// All of this session's tasks of a unit.
        ABORT_TASK_SET = 2 "ABORT TASK SET",
        /// Clear an auto contingent allegiance.
        CLEAR_ACA = 3 "CLEAR ACA",
        /// All tasks of a unit.
        CLEAR_TASK_SET = 4 "CLEAR TASK SET",
        /// Reset of a unit.
        LOGICAL_UNIT_RESET = 5 "LOGICAL UNIT RESET",
        /// Reset of all units.
        TARGET_WARM_RESET = 6 "TARGET WARM RESET",
        /// Reset of all units and end of all sessions.
        TARGET_COLD_RESET = 7 "TARGET COLD RESET",
        /// Go on with a task on this connection.
        TASK_REASSIGN = 8 "TASK REASSIGN",
        /// Is the task there?
        QUERY_TASK = 9 "QUERY TASK",
        /// Is any task of this session there?
        QUERY_TASK_SET = 10 "QUERY TASK SET",
        /// End of this nexus' tasks and state.
        I_T_NEXUS_RESET = 11 "I_T NEXUS RESET",
        /// Is a unit attention pending?
        QUERY_ASYNCHRONOUS_EVENT = 12 "QUERY ASYNCHRONOUS EVENT",
    }
}

codes! {
    /// How a task management function ended.
    //= RFC 7143 "Task Management Function Response"
    TaskManagementResponseCode(u8) {
        /// Done.
        COMPLETE = 0 "Function complete",
        /// No such task.
        TASK_DOES_NOT_EXIST = 1 "Task does not exist",
        /// No such unit.
        LUN_DOES_NOT_EXIST = 2 "LUN does not exist",
        /// The task still belongs to another connection.
        TASK_STILL_ALLEGIANT = 3 "Task still allegiant",
        /// Tasks cannot move.
        REASSIGNMENT_NOT_SUPPORTED = 4 "Task allegiance reassignment not supported",
        /// No such function.
        NOT_SUPPORTED = 5 "Task management function not supported",
        /// Not allowed.
        AUTHORIZATION_FAILED = 6 "Function authorization failed",
        /// Done, and the answer to the query is yes.
        SUCCEEDED = 7 "Function succeeded",
        /// Refused.
        REJECTED = 255 "Function rejected",
    }
}

codes! {
    /// Stages of a connection.
    //= RFC 7143 "CSG and NSG"
    Stage(u8) {
        /// Who is it?
        SECURITY = 0 "SecurityNegotiation",
        /// What are the parameters?
        OPERATIONAL = 1 "LoginOperationalNegotiation",
        /// Login is over.
        FULL_FEATURE = 3 "FullFeaturePhase",
    }
}

codes! {
    /// Status-Class (high byte) and Status-Detail (low byte) of a Login Response.
    //= RFC 7143 "Status-Class and Status-Detail"
    LoginStatus(u16) {
        /// Goes on, or has succeeded.
        SUCCESS = 0x0000 "Success",
        /// TargetAddress says where, for now.
        MOVED_TEMPORARILY = 0x0101 "Target moved temporarily",
        /// TargetAddress says where, for good.
        MOVED_PERMANENTLY = 0x0102 "Target moved permanently",
        /// The initiator broke a rule.
        INITIATOR_ERROR = 0x0200 "Initiator error",
        /// Not who it says it is.
        AUTHENTICATION_FAILURE = 0x0201 "Authentication failure",
        /// Not allowed at this target.
        AUTHORIZATION_FAILURE = 0x0202 "Authorization failure",
        /// No such target here.
        NOT_FOUND = 0x0203 "Not found",
        /// The target is gone for good.
        TARGET_REMOVED = 0x0204 "Target removed",
        /// No version in common.
        UNSUPPORTED_VERSION = 0x0205 "Unsupported version",
        /// The session has as many connections as it may have.
        TOO_MANY_CONNECTIONS = 0x0206 "Too many connections",
        /// A key that must be there is not.
        MISSING_PARAMETER = 0x0207 "Missing parameter",
        /// Another portal group, or an immutable part differs.
        CANNOT_INCLUDE_IN_SESSION = 0x0208 "Can't include in session",
        /// This kind of session is not to be had.
        SESSION_TYPE_NOT_SUPPORTED = 0x0209 "Session type not supported",
        /// The TSIH names no session.
        SESSION_DOES_NOT_EXIST = 0x020a "Session does not exist",
        /// Not a PDU for the login phase.
        INVALID_DURING_LOGIN = 0x020b "Invalid during login",
        /// The target failed.
        TARGET_ERROR = 0x0300 "Target error",
        /// The target is there but not operational.
        SERVICE_UNAVAILABLE = 0x0301 "Service unavailable",
        /// No memory, or no more sessions.
        OUT_OF_RESOURCES = 0x0302 "Out of resources",
    }
}

codes! {
    /// Why an initiator logs out.
    //= RFC 7143 "Reason Code"
    LogoutReason(u8) {
        /// All connections of the session end.
        CLOSE_SESSION = 0 "Close the session",
        /// The connection named by CID ends.
        CLOSE_CONNECTION = 1 "Close the connection",
        /// The connection named by CID ends, its commands may be reassigned.
        REMOVE_FOR_RECOVERY = 2 "Remove the connection for recovery",
    }
}

codes! {
    /// How a logout ended.
    //= RFC 7143 "Response"
    LogoutResponseCode(u8) {
        /// Closed.
        SUCCESS = 0 "Connection or session closed successfully",
        /// No such connection.
        CID_NOT_FOUND = 1 "CID not found",
        /// The recovery level is too low.
        RECOVERY_NOT_SUPPORTED = 2 "Connection recovery is not supported",
        /// Something is left over.
        CLEANUP_FAILED = 3 "Cleanup failed",
    }
}

codes! {
    /// What a SNACK asks for.
    //= RFC 7143 "Type"
    SnackType(u8) {
        /// Data-In or R2T PDUs again.
        DATA_OR_R2T = 0 "Data/R2T SNACK",
        /// Responses again.
        STATUS = 1 "Status SNACK",
        /// Acknowledges data.
        DATA_ACK = 2 "DataACK",
        /// Data again, resegmented.
        RESEGMENTED_DATA = 3 "R-Data SNACK",
    }
}

codes! {
    /// What an asynchronous message is about.
    //= RFC 7143 "AsyncEvent"
    AsyncEvent(u8) {
        /// Sense data of a unit.
        SCSI = 0 "SCSI asynchronous event",
        /// The initiator must log out.
        LOGOUT_REQUESTED = 1 "Target requests logout",
        /// The target drops a connection.
        CONNECTION_DROPPED = 2 "Target drops the connection",
        /// The target drops the session.
        SESSION_DROPPED = 3 "Target drops all connections of the session",
        /// The initiator must negotiate again.
        NEGOTIATION_REQUESTED = 4 "Target requests parameter negotiation",
        /// All tasks of a unit end.
        TASKS_TERMINATED = 5 "Target terminates all tasks of the LUN",
        /// A vendor's own.
        VENDOR = 255 "Vendor-specific iSCSI event",
    }
}

codes! {
    /// Why a PDU was not accepted.
    //= RFC 7143 "Reason"
    RejectReason(u8) {
        /// The data digest differs.
        DATA_DIGEST_ERROR = 0x02 "Data (payload) digest error",
        /// A SNACK asks for what cannot be sent again.
        SNACK_REJECT = 0x03 "SNACK reject",
        /// A rule was broken.
        PROTOCOL_ERROR = 0x04 "Protocol error",
        /// No such opcode.
        COMMAND_NOT_SUPPORTED = 0x05 "Command not supported",
        /// Too many immediate commands.
        IMMEDIATE_COMMAND_REJECT = 0x06 "Immediate command reject",
        /// The task tag is in use.
        TASK_IN_PROGRESS = 0x07 "Task in progress",
        /// A data acknowledgement for data that was not sent.
        INVALID_DATA_ACK = 0x08 "Invalid data acknowledgement",
        /// A field has a value that it may not have.
        INVALID_PDU_FIELD = 0x09 "Invalid PDU field",
        /// No target transfer tag is left.
        LONG_OPERATION_REJECT = 0x0a "Long operation reject",
        /// The connection waits for a logout.
        WAITING_FOR_LOGOUT = 0x0c "Waiting for logout",
    }
}

codes! {
    /// Types of additional header segments.
    //= RFC 7143 "AHSType"
    AhsType(u8) {
        /// The rest of a CDB longer than 16 bytes.
        EXTENDED_CDB = 1 "Extended CDB",
        /// How much a bidirectional command may read.
        BIDIRECTIONAL_READ = 2 "Expected bidirectional read data length",
    }
}
