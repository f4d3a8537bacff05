//! The commands that attach the target, ready to be typed on the other side.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// What the commands need to know.
pub(crate) struct Attach<'a> {
    pub(crate) target: &'a str,
    /// Where to connect, as the other side sees it.
    pub(crate) portal: SocketAddr,
    pub(crate) chap: Option<Chap<'a>>,
}

/// Names for CHAP; secrets are never printed.
pub(crate) struct Chap<'a> {
    pub(crate) user: &'a str,
    pub(crate) password_file: String,
    /// The target proves itself too: its user and file.
    pub(crate) mutual: Option<(&'a str, String)>,
}

/// One system and what to type there.
#[derive(Debug)]
pub(crate) struct Recipe {
    pub(crate) system: &'static str,
    pub(crate) lines: Vec<String>,
}

impl Attach<'_> {
    /// For every system that we know.
    pub(crate) fn recipes(&self) -> [Recipe; 3] {
        [
            Recipe { system: "Linux", lines: self.linux() },
            Recipe { system: "QEMU", lines: self.qemu() },
            Recipe { system: "Windows", lines: self.windows() },
        ]
    }

    fn linux(&self) -> Vec<String> {
        let Self { target, portal, .. } = self;
        let Some(chap) = &self.chap else {
            return vec![
                format!("iscsiadm -m discovery -t sendtargets -p {portal}"),
                format!("iscsiadm -m node -T {target} -p {portal} --login"),
            ];
        };
        let node = format!("iscsiadm -m node -T {target} -p {portal}");
        let mut lines = vec![format!("{node} -o new")];
        let mut set = |name: &str, value: &str| {
            lines.push(format!("{node} -o update -n node.session.auth.{name} -v {value}"));
        };
        set("authmethod", "CHAP");
        set("username", &word(chap.user));
        set("password", &contents(&chap.password_file));
        if let Some((user, file)) = &chap.mutual {
            set("username_in", &word(user));
            set("password_in", &contents(file));
        }
        lines.push(format!("{node} --login"));
        lines
    }

    fn qemu(&self) -> Vec<String> {
        let Self { target, portal, .. } = self;
        let Some(chap) = &self.chap else {
            return vec![format!(
                "qemu-system-x86_64 … -drive file=iscsi://{portal}/{target}/0,format=raw,if=virtio"
            )];
        };
        // QEMU takes a line end for a part of the secret. Two commas are one to it.
        let (user, secret) = (word(&chap.user.replace(',', ",,")), contents(&chap.password_file));
        let secret = format!("qemu-system-x86_64 … -object secret,id=felio,file=<(printf %s {secret}) \\");
        let options =
            format!("transport=tcp,portal={portal},target={target},lun=0,user={user},password-secret=felio");
        let drive = format!("  -drive driver=iscsi,{options},if=virtio");
        vec![secret, drive]
    }

    fn windows(&self) -> Vec<String> {
        let Self { target, portal, .. } = self;
        let (ip, port) = (portal.ip(), portal.port());
        let new = format!("New-IscsiTargetPortal -TargetPortalAddress {ip} -TargetPortalPortNumber {port}");
        let connect = format!("Connect-IscsiTarget -NodeAddress {target}");
        let Some(chap) = &self.chap else { return vec![new, connect] };
        let secret = |file: &str| format!("(Get-Content {})", windows_word(file));
        let kind = if chap.mutual.is_some() { "MUTUALCHAP" } else { "ONEWAYCHAP" };
        let proof = format!(
            "-AuthenticationType {kind} -ChapUsername {} -ChapSecret {}",
            windows_word(chap.user),
            secret(&chap.password_file)
        );
        let mut lines = Vec::new();
        if let Some((_, file)) = &chap.mutual {
            lines.push(format!("Set-IscsiChapSecret -ChapSecret {}", secret(file)));
        }
        lines.extend([format!("{new} {proof}"), format!("{connect} {proof}")]);
        lines
    }
}

/// The portal as another machine sees it: an unspecified address becomes the one that this machine would use towards others.
pub(crate) fn visible(portal: SocketAddr) -> SocketAddr {
    if !portal.ip().is_unspecified() {
        return portal;
    }
    // Nothing is sent: connecting a datagram socket only chooses a route. The addresses are those for documentation.
    let (any, far): (IpAddr, IpAddr) = match portal {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(192, 0, 2, 1).into()),
        SocketAddr::V6(_) => {
            (Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into())
        }
    };
    let route = || {
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect((far, 9))?;
        socket.local_addr()
    };
    let loopback = if portal.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
    let ip = route().map_or(loopback, |local| local.ip());
    SocketAddr::new(ip, portal.port())
}

/// What a file holds, without line ends behind it, as a word of bash; [`secrets`](crate::secrets) reads the same.
fn contents(file: &str) -> String {
    format!("\"$(cat {})\"", word(file))
}

/// One word of bash.
fn word(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// One word of PowerShell, to which typographic quotes are quotes as well.
fn windows_word(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    let is_quote = |c: &char| matches!(c, '\'' | '\u{2018}'..='\u{201b}');
    let inner: String = text.chars().flat_map(|c| [Some(c), Some(c).filter(is_quote)]).flatten().collect();
    format!("'{inner}'")
}

/// Whether a text is one word to every shell as it is.
fn is_plain(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/@".contains(c);
    !text.is_empty() && text.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attach(chap: Option<Chap<'_>>) -> String {
        let portal = "127.0.0.1:3260".parse().expect("valid");
        let recipes = Attach { target: "iqn.t:d", portal, chap }.recipes();
        recipes.iter().flat_map(|recipe| recipe.lines.clone()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn without_chap_it_is_short() {
        let want = "\
iscsiadm -m discovery -t sendtargets -p 127.0.0.1:3260
iscsiadm -m node -T iqn.t:d -p 127.0.0.1:3260 --login
qemu-system-x86_64 … -drive file=iscsi://127.0.0.1:3260/iqn.t:d/0,format=raw,if=virtio
New-IscsiTargetPortal -TargetPortalAddress 127.0.0.1 -TargetPortalPortNumber 3260
Connect-IscsiTarget -NodeAddress iqn.t:d";
        assert_eq!(attach(None), want);
    }

    #[test]
    fn chap_secrets_are_named_by_file() {
        let text = attach(Some(Chap { user: "alice", password_file: "secret".to_owned(), mutual: None }));
        assert!(text.contains("node.session.auth.password -v \"$(cat secret)\""));
        assert!(
            text.contains(
                "-AuthenticationType ONEWAYCHAP -ChapUsername alice -ChapSecret (Get-Content secret)"
            )
        );
    }

    #[test]
    fn qemu_is_handed_the_secret_without_its_line_end() {
        let text = attach(Some(Chap { user: "a,b", password_file: "my secret".to_owned(), mutual: None }));
        assert!(text.contains("file=<(printf %s \"$(cat 'my secret')\")"), "{text}");
        assert!(text.contains("user='a,,b',"), "{text}");
    }

    #[test]
    fn what_a_shell_would_take_apart_is_quoted() {
        let mutual = Some(("$HOME", "/it's; rm".to_owned()));
        let text = attach(Some(Chap { user: "a b", password_file: "\u{2019}".to_owned(), mutual }));
        for part in [
            "auth.username -v 'a b'\n",
            "auth.username_in -v '$HOME'\n",
            r#"auth.password_in -v "$(cat '/it'\''s; rm')""#,
            ",user='a b',password-secret=felio,if=virtio\n",
            "-ChapUsername 'a b' -ChapSecret (Get-Content '\u{2019}\u{2019}')\n",
            "-ChapSecret (Get-Content '/it''s; rm')\n",
        ] {
            assert!(text.contains(part), "no {part:?} in {text}");
        }
    }

    #[test]
    fn an_address_that_is_one_stays() {
        let portal = "[::1]:7".parse().expect("valid");
        assert_eq!(visible(portal), portal);
    }
}
