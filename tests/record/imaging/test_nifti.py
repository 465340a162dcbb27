"""Volumes as NIfTI lie where SimpleITK says they lie, and carry nothing but their numbers into the record."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from medloom.foundation.errors import InputError
from medloom.record.imaging.nifti import as_nifti, read_nifti, without_remarks


def oblique(path: Path) -> np.ndarray:
    """Write an oblique volume by another library; gives its voxels (z, y, x)."""
    voxels = np.random.default_rng(0).integers(-50, 900, (4, 5, 6)).astype(np.int16)
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((0.7, 0.8, 2.5))
    image.SetOrigin((-10.0, 20.0, 35.0))
    turn = np.array([[0.0, -1.0, 0.0], [0.6, 0.0, -0.8], [0.8, 0.0, 0.6]])
    image.SetDirection(turn.ravel().tolist())
    sitk.WriteImage(image, str(path))
    return voxels


def test_voxels_lie_where_another_reader_says(tmp_path: Path) -> None:
    path = tmp_path / "oblique.nii.gz"
    voxels = oblique(path)
    read = read_nifti(io.BytesIO(path.read_bytes()))
    np.testing.assert_array_equal(read.pixels[0], voxels)
    assert read.spacing == pytest.approx((2.5, 0.8, 0.7))
    other = sitk.ReadImage(str(path))
    assert read.affine is not None
    for place in ((0, 0, 0), (3, 4, 5), (1, 0, 2)):
        ours = read.affine @ [*place, 1]
        assert ours[:3] == pytest.approx(other.TransformIndexToPhysicalPoint(place[::-1]), abs=1e-3)


def test_what_is_written_is_read_back_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "oblique.nii.gz"
    oblique(path)
    read = read_nifti(io.BytesIO(path.read_bytes()))
    assert read.affine is not None
    labels = (read.pixels[0] > 400).astype(np.uint8)
    content = as_nifti(labels, read.affine)
    again = read_nifti(io.BytesIO(content))
    np.testing.assert_array_equal(again.pixels[0], labels)
    np.testing.assert_allclose(again.affine, read.affine, atol=1e-4)
    assert as_nifti(labels, read.affine) == content


def test_descriptions_and_extensions_are_left_out_and_scaled_numbers_stay() -> None:
    made = nibabel.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.eye(4))
    made.header["descrip"] = b"Erika Mustermann"
    made.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"Erika again"))
    made.header.set_slope_inter(2.0, -7.0)
    content = made.to_bytes()
    kept = without_remarks(content)
    assert b"Erika" in content and b"Erika" not in gzip.decompress(kept)
    np.testing.assert_array_equal(read_nifti(io.BytesIO(kept)).pixels, read_nifti(io.BytesIO(content)).pixels)


def test_a_fourth_axis_becomes_channels() -> None:
    content = nibabel.Nifti1Image(np.zeros((6, 5, 4, 2), np.float32), np.eye(4)).to_bytes()
    assert read_nifti(io.BytesIO(content)).pixels.shape == (2, 4, 5, 6)


def test_a_claim_of_more_than_there_is_is_refused_before_memory_is_taken() -> None:
    content = bytearray(nibabel.Nifti1Image(np.zeros((4, 4, 4), np.float32), np.eye(4)).to_bytes())
    content[42:48] = np.array([2000, 2000, 2000], "<i2").tobytes()
    with pytest.raises(InputError, match="damaged or cut short"):
        read_nifti(io.BytesIO(bytes(content)))


@pytest.mark.parametrize("content", [b"", b"\x1f\x8bnothing", b"n+1\0" * 100])
def test_what_is_no_nifti_is_refused(content: bytes) -> None:
    with pytest.raises(InputError, match="damaged or cut short"):
        read_nifti(io.BytesIO(content))
